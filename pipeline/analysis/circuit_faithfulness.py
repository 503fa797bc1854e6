"""How much of a behaviour its circuit carries: F(k), its area, and what carries a partner's effect.

With m the contrast (logit of the right answer's token minus the wrong one's where they part), in the real
model, and the first k features of a circuit held:

    sufficient: F(k) = (m(partner, features as on the prompt) - m(partner)) / (m(prompt) - m(partner))
    necessary:  F(k) = (m(prompt) - m(prompt, features as on the partner)) / (m(prompt) - m(partner))
    removed:    F(k) = (m(prompt) - m(prompt, features at 0)) / m(prompt)

As in `pipeline.analysis.faithfulness`, whose difference between variants is here one between two prompts:
ratios of means over groups, and bootstrap-t intervals of the jackknife's pseudo-values over them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeline.analysis.faithfulness import areas, by_situation, fractions, interval
from pipeline.params.behaviour_interventions import BehaviourInterventionParams
from store.schema.vocabulary import (
    BY_CHANCE,
    CIRCUIT_EXPERIMENTS,
    REMOVED,
    SPAN_PARTS,
    SUFFICIENT,
)

NO_PAIRS: Final = "no test prompt has a partner of equal length"
NO_CHANGE: Final = "the change cannot be told from 0"


@dataclass(frozen=True, kw_only=True)
class Held:
    """What `pipeline.interventions.partnered.compute_circuits` found of one prompt.

    Attributes
    ----------
    group
        The unit of statistics.
    arrays
        The item's.
    """

    group: str
    arrays: Mapping[str, np.ndarray]

    def contrast(self, name: str) -> np.ndarray:
        """(...) float64, of an array (..., token)."""
        logits = self.arrays[name].astype(np.float64)
        found: np.ndarray = logits[..., 0] - logits[..., 1]
        return found

    @property
    def paired(self) -> bool:
        """Whether it has a partner of equal length."""
        return len(self.arrays["partnered"]) > 0


def changes_of(one: Held, experiment: str) -> tuple[np.ndarray, np.ndarray]:
    """Changes of the contrast (order, k), and what they are shares of, ()."""
    clean = one.contrast("clean")
    if experiment == REMOVED:
        return clean - one.contrast("ablated"), clean
    (partner,) = one.contrast("partnered")
    if experiment == SUFFICIENT:
        return one.contrast("given") - partner, clean - partner
    return clean - one.contrast("taken"), clean - partner


def curves(
    held: Sequence[Held], n_circuits: int, params: BehaviourInterventionParams
) -> dict[str, np.ndarray]:
    """Curves and areas of one behaviour's circuits, NaN where no share is known.

    Parameters
    ----------
    held
        Of its test prompts; orders are circuits, and then random ones.
    n_circuits
        How many are no random ones.

    Returns
    -------
    dict
        `fraction`, `low`, `high` (experiment, circuit, k); `random_mean`, `random_low`, `random_high`
        (experiment, k); `area`, `area_low`, `area_high`, `p_random` (experiment, circuit); `area_random`,
        `area_random_high`, `change`, `n_groups`, `n_prompts`, `reason` (experiment,).
    """
    parts = [_experiment(name, held, n_circuits, params) for name in CIRCUIT_EXPERIMENTS]
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}


def _experiment(
    name: str, held: Sequence[Held], n: int, params: BehaviourInterventionParams
) -> dict[str, np.ndarray]:
    used = [one for one in held if one.paired or name == REMOVED]
    groups = [("", one.group) for one in used]
    found = [changes_of(one, name) for one in used]
    n_groups = len(set(groups))
    unknown = _unknown(n, len(params.ks))
    counts = {"n_groups": np.int32(n_groups), "n_prompts": np.int32(len(used))}
    if not used:
        return unknown | counts | {"reason": _word(NO_PAIRS)}
    change = by_situation([each for each, _ in found], groups)  # (group, order, k)
    difference = by_situation([each for _, each in found], groups)  # (group,)
    counts["change"] = difference.mean()
    if n_groups < params.min_groups:
        few = f"{n_groups} groups are too few: behaviour_interventions.min_groups is {params.min_groups}"
        return unknown | counts | {"reason": _word(few)}
    settings = params.bootstrap, params.confidence, params.draw_seed
    low, high = interval(lambda rows: difference[rows].mean(), n_groups, *settings)
    if not (low > 0 or high < 0):
        return unknown | counts | {"reason": _word(NO_CHANGE)}
    fraction, area = fractions(change, difference), areas(fractions(change, difference), params.ks)
    bounds = interval(lambda rows: fractions(change[rows, :n], difference[rows]), n_groups, *settings)
    area_bounds = interval(
        lambda rows: areas(fractions(change[rows, :n], difference[rows]), params.ks), n_groups, *settings
    )
    own, random = fraction[:n], fraction[n:]
    as_large = (area[n:] >= area[:n, None]).sum(axis=1)
    return (
        unknown
        | counts
        | {
            "fraction": own,
            "low": bounds[0],
            "high": bounds[1],
            "random_mean": random.mean(axis=0),
            "random_low": random.min(axis=0),
            "random_high": random.max(axis=0),
            "area": area[:n],
            "area_low": area_bounds[0],
            "area_high": area_bounds[1],
            "p_random": (1 + as_large) / (1 + len(random)),
            "area_random": area[n:].mean(),
            "area_random_high": area[n:].max(),
        }
    )


def _unknown(n: int, n_ks: int) -> dict[str, Any]:
    shapes = {
        ("fraction", "low", "high"): (n, n_ks),
        ("random_mean", "random_low", "random_high"): (n_ks,),
        ("area", "area_low", "area_high", "p_random"): (n,),
        ("area_random", "area_random_high", "change"): (),
    }
    empty = {name: np.full(shape, np.nan) for names, shape in shapes.items() for name in names}
    return {**empty, "reason": _word("")}


def _word(text: str) -> np.ndarray:
    return np.array(text, object)


def layer_shares(
    held: Sequence[Held], n_sites: int, params: BehaviourInterventionParams
) -> dict[str, np.ndarray]:
    """Which share of the partner's change of the contrast, and of its flips, each part carries at the span.

    Returns
    -------
    dict
        `share`, `low`, `high`, `flips` (part, site), parts as `SPAN_PARTS`, sites layers and then all; the
        shares of random circuits are their means, `random_high` (site,) their largest. `n_prompts` and
        `n_flips`, (). NaN where there are fewer than `min_groups` groups, or no flip.
    """
    used = [one for one in held if one.paired]
    groups = [("", one.group) for one in used]
    n_groups = len(set(groups))
    shape = len(SPAN_PARTS), n_sites
    found: dict[str, np.ndarray] = {
        name: np.full(shape, np.nan) for name in ("share", "low", "high", "flips")
    }
    found["random_high"] = np.full(n_sites, np.nan)
    partner = np.array([one.contrast("partnered")[0] for one in used])
    clean = np.array([one.contrast("clean") for one in used], np.float64)
    turned = partner * clean < 0
    found["n_prompts"], found["n_flips"] = np.array(len(used), np.int32), turned.sum(dtype=np.int32)
    if n_groups < params.min_groups:
        return found
    difference = by_situation(list(partner - clean), groups)
    settings = params.bootstrap, params.confidence, params.draw_seed
    low, high = interval(lambda rows: difference[rows].mean(), n_groups, *settings)
    known = low > 0 or high < 0
    for row, part in enumerate(SPAN_PARTS):
        after = np.stack([one.contrast(part) for one in used])  # (prompt, [draw,] site)
        if part == BY_CHANCE and not after.shape[1]:
            continue
        flips = (after * _beside(clean, after) < 0)[turned]
        if len(flips):
            found["flips"][row] = flips.reshape(-1, n_sites).mean(axis=0)
        if not known:
            continue
        change = by_situation(list(after - _beside(clean, after)), groups)
        share = fractions(change, difference)
        if part == BY_CHANCE:
            found["share"][row], found["random_high"] = share.mean(axis=0), share.max(axis=0)
            continue
        found["share"][row] = share

        def statistic(rows: np.ndarray, change: np.ndarray = change) -> np.ndarray:
            return fractions(change[rows], difference[rows])

        found["low"][row], found["high"][row] = interval(statistic, n_groups, *settings)
    return found


def _beside(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Values (prompt,) with as many axes as another array."""
    return values.reshape(-1, *[1] * (like.ndim - 1))
