"""How far raters agree on candidates: people with judges, people with people, judges with judges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import xarray as xr

from pipeline.analysis.agreement import UNLABELLED, agreement, confusion
from pipeline.analysis.agreement_measures import LABELS, Items, Resampling
from pipeline.analysis.label_queue import Draw, draw_weights
from pipeline.labels.labelled_prompt import LabelledPrompt
from pipeline.labels.resolution import HUMAN, LEXICON
from pipeline.labels.resolving import Resolved
from pipeline.text.lexicon import TokenLabel
from store.schema.labels import MEASURES
from store.schema.vocabulary import ALL


def rater_pairs(raters: Sequence[str]) -> list[tuple[str, str]]:
    """Reference and rater: each person with each judge, then people and judges among themselves.

    The lexicon is no judge here: the judge that reads it is.

    >>> rater_pairs(["lexicon", "a", "human:Ada"])
    [('human:Ada', 'a')]
    """
    people = [rater for rater in raters if rater.startswith(HUMAN)]
    judges = [rater for rater in raters if rater != LEXICON and rater not in people]
    return [*product(people, judges), *combinations(people, 2), *combinations(judges, 2)]


@dataclass(frozen=True)
class _Candidates:
    """Every candidate: what raters say of it, and where it belongs."""

    prompt: np.ndarray
    situation: np.ndarray
    domain: np.ndarray
    said: Mapping[str, np.ndarray]


def agreement_groups(
    found: Resolved, draws: Mapping[str, Sequence[Draw]], how: Resampling
) -> dict[str, xr.Dataset]:
    """The groups `agreement` and `confusion` of the LABELS dataset.

    Of people, only what they said before they saw what judges say.

    Parameters
    ----------
    draws
        By person: what they drew from their queue. Beside a judge, what they drew stands for all prompts,
        by its weight, and what they chose by hand is left out; of who drew nothing all counts alike.
    """
    every = _candidates(found)
    pairs = rater_pairs(found.raters)
    domains = [ALL, *sorted({domain for domain in every.domain.tolist() if domain})]
    shape = (len(pairs), len(domains))
    measured = {
        name: np.full((*shape, len(MEASURES)), np.nan) for name in ("value", "low", "high", "n_effective")
    }
    n_items, n_situations = (np.zeros((*shape, len(MEASURES)), np.int32) for _ in range(2))
    counts = np.zeros((*shape, len(LABELS), len(LABELS)), np.int32)
    weights = np.zeros(counts.shape)
    for row, (reference, rater) in enumerate(pairs):
        weight = _weights(every.prompt, draws.get(reference, ()) if not rater.startswith(HUMAN) else ())
        chosen = weight > 0
        items = Items(situation=every.situation[chosen], domain=every.domain[chosen], weight=weight[chosen])
        first, second = every.said[reference][chosen], every.said[rater][chosen]
        for each in agreement(first, second, items, how).itertuples():
            at = row, domains.index(str(each.domain)), MEASURES.index(str(each.measure))
            for name, array in measured.items():
                array[at] = getattr(each, name)
            n_items[at], n_situations[at] = each.n_items, each.n_situations
        for each in confusion(first, second, items).itertuples():
            cell = LABELS.index(str(each.reference)), LABELS.index(str(each.judge))
            place = row, domains.index(str(each.domain))
            counts[(*place, *cell)], weights[(*place, *cell)] = each.n, each.weight
    coords = {
        "reference": ("pair", np.array([reference for reference, _ in pairs], dtype=object)),
        "rater": ("pair", np.array([rater for _, rater in pairs], dtype=object)),
        "domain": ("domain", np.array(domains, dtype=object)),
    }
    dims, cells = ("pair", "domain", "measure"), ("pair", "domain", "reference_label", "rater_label")
    measures = {"measure": ("measure", np.array(MEASURES, dtype=object))}
    return {
        "agreement": xr.Dataset(
            {
                **{name: (dims, values) for name, values in measured.items()},
                "n_items": (dims, n_items),
                "n_situations": (dims, n_situations),
            },
            coords={**coords, **measures},
        ),
        "confusion": xr.Dataset({"n": (cells, counts), "weight": (cells, weights)}, coords=coords),
    }


def _candidates(found: Resolved) -> _Candidates:
    rows = [
        (prompt, token) for prompt in found.labelled for token in prompt.candidates[: prompt.n_candidates]
    ]
    of = [found.prompts[prompt.prompt_hash] for prompt, _ in rows]

    def said(rater: str, prompt: LabelledPrompt) -> Mapping[int, TokenLabel]:
        if rater.startswith(HUMAN):
            return found.blind.labels.get(rater.removeprefix(HUMAN), {}).get(prompt.prompt_hash, {})
        return prompt.raters.get(rater, {})

    return _Candidates(
        prompt=np.array([prompt.prompt_hash for prompt, _ in rows], dtype=object),
        # Situations of two domains may have one name.
        situation=np.array([f"{prompt.domain or ''}\n{prompt.situation}" for prompt in of], dtype=object),
        domain=np.array([prompt.domain or "" for prompt in of], dtype=object),
        said={
            rater: np.array(
                [said(rater, prompt).get(token, UNLABELLED) for prompt, token in rows], dtype=object
            )
            for rater in found.raters
        },
    )


def _weights(prompt: np.ndarray, draws: Sequence[Draw]) -> np.ndarray:
    """(item,) how many each stands for; 0 where it was chosen by hand from beside a queue."""
    if not draws:
        return np.ones(len(prompt))
    of_draw = dict(zip([draw.prompt for draw in draws], draw_weights(draws).tolist(), strict=True))
    return np.array([of_draw.get(each, 0.0) for each in prompt.tolist()], np.float64)
