"""Does the next token decide? Harmful shares of continuations, by the candidate that they begin with.

The candidates that differ most are picked on some continuations and compared on the others, which were
drawn independently: what was picked for being large is not counted as large for that (trap 16).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.divergence import jensen_shannon_of_targets
from pipeline.analysis.intervals import rate_difference_interval, wilson_interval
from pipeline.params.pivotality import PivotalityParams
from pipeline.text.lexicon import TokenLabel
from pipeline.text.token_labels import TokenLabels
from store.documents.prompts import Prompt
from store.schema.labels import TOKEN_LABELS

_NONE: Final = -1
_EVIL: Final = TOKEN_LABELS.index("evil")


@dataclass(frozen=True, kw_only=True)
class Forced:
    """What a variant does where the next token is forced, on one prompt.

    Attributes
    ----------
    tokens
        (candidate,) token ids.
    probability
        (candidate,) float64, of each where none is forced.
    harmful
        (candidate, continuation) float64: 1 harmful, 0 not, NaN where nobody can tell.
    """

    tokens: np.ndarray
    probability: np.ndarray
    harmful: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Decision:
    """By how much forcing one candidate rather than another changes the share of harmful continuations.

    Attributes
    ----------
    most, least
        Token ids; -1: fewer than two candidates have continuations that are told.
    difference, low, high
        Shares, and the interval of their difference; NaN where there are no such two.
    """

    most: int
    least: int
    difference: float
    low: float
    high: float

    def pivotal(self, least: float) -> bool:
        """Whether it reaches `least`, with an interval above 0."""
        return self.difference >= least and self.low > 0


def decide(forced: Forced, picking: int, confidence: float) -> Decision:
    """Pick the two candidates that differ most on the first continuations, compare them on the others.

    Parameters
    ----------
    forced
        Of one variant.
    picking
        How many continuations of each candidate are only picked by. Of equals the more probable is picked.
    confidence
        Of the interval.
    """
    order = np.argsort(-forced.probability, kind="stable")
    picked_by, counted_by = forced.harmful[:, :picking], forced.harmful[:, picking:]
    told = [row for row in order if (~np.isnan(picked_by[row])).any() and (~np.isnan(counted_by[row])).any()]
    if len(told) < 2:
        return Decision(most=_NONE, least=_NONE, difference=np.nan, low=np.nan, high=np.nan)
    shares = np.nanmean(picked_by[told], axis=1)
    most = int(np.argmax(shares))
    others = np.delete(np.arange(len(told)), most)
    rows = told[most], told[others[np.argmin(shares[others])]]
    counts = [_count(counted_by[row]) for row in rows]
    low, high = rate_difference_interval(counts[0], counts[1], confidence)
    return Decision(
        most=int(forced.tokens[rows[0]]),
        least=int(forced.tokens[rows[1]]),
        difference=counts[0][0] / counts[0][1] - counts[1][0] / counts[1][1],
        low=low,
        high=high,
    )


def pivotality_groups(
    prompts: Sequence[Prompt],
    found: Mapping[str, tuple[Forced, Forced]],
    variants: tuple[str, str],
    labels: TokenLabels,
    params: PivotalityParams,
) -> dict[str, xr.Dataset]:
    """Groups of the PIVOTALITY dataset.

    Parameters
    ----------
    prompts
        In the order of the table; those that are not in `found` are left out.
    found
        By prompt hash: base and focus variant, of the same candidates in the same order.
    variants
        Their names.
    labels
        Those that count.
    """
    of = [prompt for prompt in prompts if prompt.hash in found]
    coords = {"variant": ("variant", np.array(variants, dtype=object))}
    known = [(prompt, found[prompt.hash], labels.of(prompt.hash, prompt.domain)) for prompt in of]
    return {
        "candidates": _candidates(known, params).assign_coords(coords),
        "prompts": _prompts(known, params).assign_coords(
            {**coords, "prompt": ("prompt", np.array([prompt.hash for prompt in of], dtype=object))}
        ),
    }


def summary(groups: Mapping[str, xr.Dataset]) -> dict[str, Any]:
    """Metrics: how many prompts are told, and pivotal by variant; how many evil candidates are flagged."""
    prompts, candidates = groups["prompts"], groups["candidates"]
    return {
        "prompts": int(np.isfinite(prompts["difference"].values).any(axis=0).sum()),
        "pivotal": {
            str(variant): int(prompts["pivotal"].values[side].sum())
            for side, variant in enumerate(prompts["variant"].values)
        },
        "evil_candidates": int((candidates["label"] == TOKEN_LABELS.index("evil")).sum()),
        "harmless": int(candidates["harmless"].sum()),
        "harmful_in_base": int(candidates["harmful_in_base"].sum()),
    }


_BOTH: Final = "variant", "candidate"
_Known = tuple[Prompt, tuple[Forced, Forced], Mapping[int, TokenLabel]]


def _candidates(known: Sequence[_Known], params: PivotalityParams) -> xr.Dataset:
    rows = [(*each, row) for each in known for row in range(len(each[1][0].tokens))]
    tokens = [int(sides[0].tokens[row]) for _, sides, _, row in rows]
    code = np.array(
        [_code(labels.get(each)) for (*_, labels, _), each in zip(rows, tokens, strict=True)], np.int8
    )
    probability = [[float(sides[side].probability[row]) for _, sides, _, row in rows] for side in (0, 1)]
    counts = [[_count(sides[side].harmful[row]) for _, sides, _, row in rows] for side in (0, 1)]
    bounds = [[wilson_interval(*count, params.confidence) for count in of] for of in counts]
    shape = 2, len(rows), 2
    (harmful, n), (low, high) = (np.moveaxis(np.reshape(each, shape), -1, 0) for each in (counts, bounds))
    with np.errstate(invalid="ignore"):
        share = harmful / n
    is_evil = code == _EVIL
    return xr.Dataset(
        {
            "prompt_hash": ("candidate", np.array([prompt.hash for prompt, *_ in rows], dtype=object)),
            "token": ("candidate", np.array(tokens, np.int32)),
            "label": ("candidate", code),
            "probability": (_BOTH, np.array(probability, np.float32)),
            "n": (_BOTH, n.astype(np.int32)),
            "harmful": (_BOTH, share),
            "low": (_BOTH, low),
            "high": (_BOTH, high),
            "harmless": ("candidate", is_evil & (high[1] < params.harmless)),
            "harmful_in_base": ("candidate", is_evil & (low[0] > params.harmless)),
        }
    )


def _prompts(known: Sequence[_Known], params: PivotalityParams) -> xr.Dataset:
    shape = (2, len(known))
    table = {
        name: np.full(shape, np.nan) for name in ("harmful_mass", "expected", "difference", "low", "high")
    }
    picked = {name: np.full(shape, _NONE, np.int32) for name in ("most", "least")}
    pivotal = np.zeros(shape, bool)
    for column, (_, sides, labels) in enumerate(known):
        for side, forced in enumerate(sides):
            is_evil = np.array([labels.get(int(token)) == "evil" for token in forced.tokens])
            decision = decide(forced, params.picking, params.confidence)
            table["harmful_mass"][side, column] = forced.probability[is_evil].sum() if labels else np.nan
            table["expected"][side, column] = _expected(forced)
            for name in ("difference", "low", "high"):
                table[name][side, column] = getattr(decision, name)
            picked["most"][side, column], picked["least"][side, column] = decision.most, decision.least
            pivotal[side, column] = decision.pivotal(params.least)
    divergence = [jensen_shannon_of_targets(*(each.probability for each in sides)) for _, sides, _ in known]
    both = ("variant", "prompt")
    return xr.Dataset(
        {
            "divergence": ("prompt", np.array(divergence, np.float64)),
            **{name: (both, values) for name, values in {**table, **picked}.items()},
            "pivotal": (both, pivotal),
        }
    )


def _expected(forced: Forced) -> float:
    """Mean of candidates' harmful shares by their probability; NaN where none is told."""
    counts = np.array([_count(row) for row in forced.harmful]).reshape(-1, 2)
    told = counts[:, 1] > 0
    if not told.any():
        return np.nan
    return float(np.average(counts[told, 0] / counts[told, 1], weights=forced.probability[told]))


def _count(harmful: np.ndarray) -> tuple[float, float]:
    """Harmful continuations, and those that are told."""
    return float(np.nansum(harmful)), float((~np.isnan(harmful)).sum())


def _code(label: TokenLabel | None) -> int:
    return TOKEN_LABELS.index(label) if label in TOKEN_LABELS else _NONE
