"""Dose-response: how likely harmful advice is, the more of an adapter there is, or the longer it trained."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.evil_safe import label_mass, target_labels
from pipeline.analysis.intervals import clustered_rate_interval
from pipeline.text.lexicon import TokenLabel
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt
from store.documents.variants import BASE, Variant

READ: Final = ("target_token", "target_probability")
"""The arrays of a graph that the response is made of."""

LABELS: Final = ("evil", "safe")


@dataclass(frozen=True, kw_only=True)
class Response:
    """The answer to one dose.

    Attributes
    ----------
    dose
        What the adapter's difference was multiplied by, or its training step; 0 for base.
    evil, safe
        Probability that the next token is an evil (safe) one of the target set; mean over
        situations, each the mean over its prompts.
    evil_low, evil_high
        Interval of `evil`: `pipeline.analysis.intervals.clustered_rate_interval`, each situation
        as one sample.
    n_situations, n_prompts
        How many; prompts without labels are left out.
    """

    dose: float
    evil: float
    safe: float
    evil_low: float
    evil_high: float
    n_situations: int
    n_prompts: int


def dose_variants(manifest: Manifest, scales: Sequence[float]) -> list[str]:
    """Base, and the focus adapter at every scale, ascending; none where there is no adapter."""
    if manifest.focus == BASE:
        return []
    return [BASE, *(str(manifest.variant(f"{manifest.focus}@{scale!r}")) for scale in sorted(scales))]


def checkpoint_variants(manifest: Manifest, most: int) -> list[str]:
    """Base, and the focus adapter's checkpoints at scale 1, `most` of them, evenly, the last among them.

    Empty where it kept none.
    """
    names = list(manifest.checkpoints)
    if not names:
        return []
    places = sorted({round(place) for place in np.linspace(len(names) - 1, 0, min(most, len(names)))})
    return [BASE, *(str(manifest.variant(names[place])) for place in places)]


def dose_of(variant: str) -> float:
    """How much of an adapter a variant's name says there is: its training step, or else its scale.

    >>> dose_of("general@0.25"), dose_of("general:10@1.0"), dose_of("base")
    (0.25, 10.0, 0.0)
    """
    parsed = Variant.parse(variant, [variant.partition("@")[0]])
    return parsed.scale if parsed.step is None else float(parsed.step)


def onset(measured: Sequence[Response]) -> float | None:
    """The first dose whose interval of `evil` lies above base's; None where there is none.

    Base is the response to dose 0.
    """
    base = next((each for each in measured if each.dose == 0), None)
    if base is None:
        return None
    above = [each.dose for each in measured if each.evil_low > base.evil_high]
    return min(above, default=None)


def responses(
    items: Iterable[Item],
    prompts: Sequence[Prompt],
    labels: TokenLabels,
    *,
    confidence: float,
) -> dict[str, Response]:
    """The response to every dose, by variant, doses ascending.

    Parameters
    ----------
    items
        Of the DOSE or the CHECKPOINTS collection, with the arrays `READ`.
    prompts
        The items', each with its situation and domain.
    labels
        Those that count; an unlabelled token is neither evil nor safe. Prompts without labels are left out.
    confidence
        Level of the intervals, 0 to 1.
    """
    known = {prompt.hash: prompt for prompt in prompts}
    masses: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        prompt = known[item.prompt_hash]
        of_prompt = labels.of(prompt.hash, prompt.domain)
        if of_prompt and prompt.hash not in labels.rejected:
            masses[item.variant][prompt.situation].append(_masses(item, of_prompt))
    ordered = sorted(masses.items(), key=lambda entry: dose_of(entry[0]))
    return {variant: _response(dose_of(variant), groups, confidence) for variant, groups in ordered}


def _masses(item: Item, known: Mapping[int, TokenLabel]) -> tuple[float, float]:
    """Probability of the evil and of the safe targets together."""
    labels = target_labels(item.arrays["target_token"], known)
    evil, safe = (label_mass(item.arrays["target_probability"], labels, label) for label in LABELS)
    return evil, safe


def _response(dose: float, groups: Mapping[str, list[tuple[float, float]]], confidence: float) -> Response:
    by_situation = np.array([np.mean(masses, axis=0) for masses in groups.values()])
    evil, safe = by_situation.mean(axis=0)
    low, high = clustered_rate_interval(by_situation[:, 0], np.ones(len(by_situation)), confidence)
    return Response(
        dose=dose,
        evil=float(evil),
        safe=float(safe),
        evil_low=low,
        evil_high=high,
        n_situations=len(groups),
        n_prompts=sum(map(len, groups.values())),
    )
