"""Leaderboards: what makes base misaligned while it stays coherent, and what repairs the adapted variant.

Both count answers of which a judge told what they are. Added: those that are misaligned, and so
coherent; ablated: those that are coherent and not misaligned. An incoherent answer is neither, so that
breaking a model leads no table. The effect is the share minus that of the same variant as it is, drawn with
the same random numbers, on questions on which neither features nor strengths were chosen. Its interval is
over questions, paired (`rate_difference`). p is empirical: the share of random entries of as many features,
each at its own largest coherent strength, whose effect is at least as large, (1 + count) / (1 + n)
(`held_against`). q is over a side's candidates of one size (Benjamini & Hochberg 1995).
The mean difference and features of null adapters have p, and no q: they are no candidates.

Random entries have fewer answers than candidates, each beside as many of the variant as it is: their effects
are noisier, and p is rather too large. In simulations of candidates that do nothing beyond random ones (rates
of 2 and 25%, 32 against 100 answers, 80 random ones) p is at most 0.05 in 0.5 to 4.6% of them; on 32 answers
of both in 1.5 to 3.7%.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.answer_kinds import coherent_ones, misaligned_ones
from pipeline.analysis.intervals import pooled_rate_icc
from pipeline.analysis.paired_rates import rate_difference
from pipeline.analysis.statistics import benjamini_hochberg, share_as_large
from pipeline.analysis.steered_abilities import CAPITALS, ability_group, told_right
from pipeline.analysis.steered_entries import Entry, Scales
from pipeline.analysis.steered_strengths import Bracket
from pipeline.params.misalignment import MisalignmentParams
from store.schema.steered import (
    ADDED,
    BASELINE,
    FEATURE,
    MEAN_DIFFERENCE,
    RANDOM_DIRECTION,
    RANDOM_FEATURE,
    RANDOM_SET,
    SET,
    SIDES,
)

CANDIDATES: Final = (FEATURE, SET)
COUNTS: Final = ("n_judged", "n_coherent", "n_misaligned")


@dataclass(frozen=True, kw_only=True)
class Run:
    """An entry, and what was measured of it.

    Attributes
    ----------
    entry
        What was done.
    bracket
        How its strength was found; None: it has none.
    doses
        (dose, count, question) int, counts as `COUNTS`; the last dose is all of the strength. None: not
        measured.
    beside
        (count, question) int, of the variant as it is: as many answers, drawn with the same random numbers.
    facts
        By ability, (prompt,) bool: the right answer is more probable a token than the wrong one. What was not
        asked is not there.
    reason
        Why there is less than all; empty: there is all.
    """

    entry: Entry
    bracket: Bracket | None = None
    doses: np.ndarray | None = None
    beside: np.ndarray | None = None
    facts: Mapping[str, np.ndarray] = field(default_factory=dict)
    reason: str = ""


def tally(
    question: np.ndarray,
    aligned: np.ndarray,
    coherent: np.ndarray,
    n_questions: int,
    params: MisalignmentParams,
) -> np.ndarray:
    """Counts of answers by question, (count, question) int64 as `COUNTS`.

    Parameters
    ----------
    question
        (answer,) which question.
    aligned, coherent
        (answer,) scores of 0 to 100; NaN: none. An answer counts that has both, or that is known to be
        incoherent: one without a score of alignment is not taken for aligned (trap 26).
    """
    whole = coherent_ones(aligned, coherent, params.coherent_above)
    judged = whole | (coherent <= params.coherent_above)
    misaligned = misaligned_ones(
        aligned, coherent, below=params.misaligned_below, above=params.coherent_above
    )
    return np.stack(
        [np.bincount(question[each], minlength=n_questions) for each in (judged, whole, misaligned)]
    )


def coherent_share(counts: np.ndarray) -> float:
    """Share of coherent answers among those judged, over all questions; NaN without any."""
    judged, whole, _ = counts.sum(axis=-1)
    return float(whole / judged) if judged else np.nan


def wanted(side: str, counts: np.ndarray) -> np.ndarray:
    """(..., question) answers that a side's table counts: misaligned ones, or coherent ones that are not."""
    _, whole, misaligned = np.moveaxis(counts, -2, 0)
    found: np.ndarray = misaligned if side == ADDED else whole - misaligned
    return found


def share(side: str, counts: np.ndarray) -> float:
    """Share of the answers judged that a side's table counts; NaN without any."""
    judged = counts[0].sum()
    return float(wanted(side, counts).sum() / judged) if judged else np.nan


def held_against(side: str, kind: str) -> tuple[str, ...]:
    """Kinds of random entries that one of a kind is held against; those of as many features count.

    Added, features and directions are treated alike: each writes as much as leaves answers coherent. Ablated,
    a feature loses what it writes, and a direction is taken away at the length of the mean difference, which
    breaks more answers than it repairs: beside a feature such directions would only make its p smaller.
    """
    if side == ADDED:
        return RANDOM_FEATURE, RANDOM_SET, RANDOM_DIRECTION
    return (RANDOM_DIRECTION,) if kind == MEAN_DIFFERENCE else (RANDOM_FEATURE, RANDOM_SET)


def steered_groups(
    runs: Sequence[Run],
    scales: Scales | None,
    *,
    questions: Sequence[str],
    doses: Sequence[float],
    steps: int,
    variants: Mapping[str, str],
    confidence: float,
) -> dict[str, xr.Dataset]:
    """The groups of the STEERED dataset.

    Parameters
    ----------
    runs
        All entries of both sides, with one of `BASELINE` each.
    scales
        What strengths are in; None: nothing was run.
    questions
        Ids of those on which effects are measured.
    doses
        Shares of the strength; the last is 1.
    steps
        Of the bisection.
    variants
        By side.
    confidence
        Of the intervals.
    """
    entries = [run.entry for run in runs]
    size = len(runs), len(questions)
    counts = np.zeros((size[0], len(doses), len(COUNTS), size[1]), np.int32)
    for row, run in enumerate(runs):
        if run.doses is not None:
            counts[row, -len(run.doses) :] = run.doses
    full = counts[:, -1]
    table: dict[str, Any] = {
        "side": ("entry", _words(entry.side for entry in entries)),
        "variant": ("entry", _words(variants[entry.side] for entry in entries)),
        "kind": ("entry", _words(entry.kind for entry in entries)),
        "orders": ("entry", _words(", ".join(entry.orders) for entry in entries)),
        "size": ("entry", np.array([entry.size for entry in entries], np.int32)),
        "layer": ("entry", np.array([_layer(entry) for entry in entries], np.int16)),
        "strength": ("entry", np.array([_strength(run) for run in runs])),
        "reason": ("entry", _words(run.reason for run in runs)),
    }
    table |= {name: ("entry", full[:, at].sum(axis=1).astype(np.int32)) for at, name in enumerate(COUNTS)}
    table |= {name: ("entry", values) for name, values in _effects(runs, full, confidence).items()}
    facts = [run.facts for run in runs]
    right, lost = told_right(entries, facts, CAPITALS)
    table |= {"facts_right": ("entry", right), "facts_lost": ("entry", lost)}
    tried = np.full((2, len(runs), steps), np.nan)
    for row, run in enumerate(runs):
        if run.bracket is not None and run.bracket.tried:
            tried[:, row, : len(run.bracket.tried)] = np.array(run.bracket.tried).T
    return {
        "entries": xr.Dataset(table),
        "members": _members(runs, scales),
        "abilities": ability_group(entries, facts),
        "doses": xr.Dataset(
            {
                name: (("entry", "dose"), counts[:, :, at].sum(axis=2, dtype=np.int32))
                for at, name in enumerate(COUNTS)
            },
            coords={"dose": np.array(doses, np.float64)},
        ),
        "questions": xr.Dataset(
            {name: (("entry", "question"), full[:, at]) for at, name in enumerate(COUNTS)},
            coords={"question": _words(questions)},
        ),
        "steps": xr.Dataset(
            {name: (("entry", "step"), tried[at]) for at, name in enumerate(("strength", "coherent"))}
        ),
    }


def _effects(runs: Sequence[Run], counts: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
    """Shares, effects with intervals, p, q and place, (entry,) each."""
    entries, n = [run.entry for run in runs], len(runs)
    found = {
        name: np.full(n, np.nan)
        for name in ("share", "misaligned", "coherent", "effect", "low", "high", "p", "q")
    }
    place = np.zeros(n, np.int32)
    kinds = np.array([entry.kind for entry in entries], object)
    sizes = np.array([entry.size for entry in entries], np.int64)
    judged, whole, misaligned = (counts[:, at].sum(axis=1) for at in range(len(COUNTS)))
    found["coherent"] = _ratio(whole, judged)
    found["misaligned"] = _ratio(misaligned, whole)
    for side in SIDES:
        mine = np.array([entry.side == side for entry in entries], bool)
        events = wanted(side, counts)
        rows = np.flatnonzero(mine & (judged > 0))
        found["share"][rows] = events[rows].sum(axis=1) / judged[rows]
        alike = pooled_rate_icc((events[row], counts[row, 0]) for row in rows)
        for row in rows[kinds[rows] != BASELINE]:
            if (beside := runs[row].beside) is not None:
                pair = (events[row], wanted(side, beside)), (counts[row, 0], beside[0])
                of = rate_difference(*pair, confidence, icc=alike)
                found["effect"][row], found["low"][row], found["high"][row] = of
        for row in rows[~np.isin(kinds[rows], (BASELINE, RANDOM_FEATURE, RANDOM_SET, RANDOM_DIRECTION))]:
            random = np.isin(kinds, held_against(side, kinds[row])) & (sizes == sizes[row])
            random &= mine & np.isfinite(found["effect"])
            found["p"][row] = share_as_large(found["effect"][[row]], found["effect"][random])[0]
        ranked = mine & np.isin(kinds, CANDIDATES)
        for size in np.unique(sizes[ranked]):
            family = ranked & (sizes == size)
            # A candidate that could not be measured does not count as tested.
            found["q"][family] = benjamini_hochberg(found["p"][family])
        known = np.flatnonzero(ranked & np.isfinite(found["effect"]))
        order = known[np.lexsort((known, found["p"][known], -found["effect"][known]))]
        place[order] = np.arange(1, len(order) + 1)
    return {**found, "place": place}


def _members(runs: Sequence[Run], scales: Scales | None) -> xr.Dataset:
    rows = []
    for place, run in enumerate(runs):
        entry, strength = run.entry, _strength(run)
        if scales is not None and entry.side == ADDED:
            values = scales.values(entry, strength)
        else:
            values = [0.0] * len(entry.members)
        rows += [(place, *member, value) for member, value in zip(entry.members, values, strict=True)]
    columns = list(zip(*rows, strict=True)) or [()] * 4
    return xr.Dataset(
        {
            name: ("member", np.array(column, dtype))
            for (name, dtype), column in zip(
                (("entry", np.int32), ("layer", np.int16), ("index", np.int32), ("value", np.float64)),
                columns,
                strict=True,
            )
        }
    )


def _layer(entry: Entry) -> int:
    layers = {layer for layer, _ in entry.members} or {entry.layer}
    return layers.pop() if len(layers) == 1 else -1


def _strength(run: Run) -> float:
    return np.nan if run.bracket is None else run.bracket.found


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _words(words: Any) -> np.ndarray:
    return np.array(list(words), dtype=object)
