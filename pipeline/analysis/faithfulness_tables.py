"""The groups of the FAITHFULNESS dataset: curves, areas, parts, single features, the difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.faithfulness import (
    Measured,
    areas,
    fewest,
    fractions,
    labels_p,
    verdicts,
)
from pipeline.analysis.faithfulness_beside import node_group, null_group
from pipeline.analysis.faithfulness_changes import Changes, reason_of
from pipeline.analysis.faithfulness_sets import NodeSets
from pipeline.analysis.statistics import benjamini_hochberg
from pipeline.params.faithfulness import FaithfulnessParams
from store.schema.vocabulary import EXPERIMENTS, GIVEN, GIVEN_WITH_ADAPTER, PART_SETS, TAKEN


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Which features were given and taken; rows of features.

    Attributes
    ----------
    orders
        By name, first ones first.
    random
        Orders by chance.
    matched
        By order's name, those matched to it.
    singles
        (feature,) the first of any order.
    n_candidates
        How many features the singles were chosen of: those that move at all.
    nodes
        Orders that hold adapter nodes.
    nulls
        Random adapters.
    """

    orders: Mapping[str, np.ndarray]
    random: Sequence[np.ndarray]
    matched: Mapping[str, Sequence[np.ndarray]]
    singles: np.ndarray
    n_candidates: int
    nodes: NodeSets
    nulls: Sequence[str]


def faithfulness_groups(
    prompts: Sequence[Measured], sets: Sets, focus: str, params: FaithfulnessParams, seed: int
) -> dict[str, xr.Dataset]:
    """The groups of the dataset, without the single features' names.

    Where the difference cannot be told from 0, or the situations are too few, shares of it are NaN and
    `reason` says why; effects of single features are in log-odds, and stay.
    """
    names, ks = list(sets.orders), params.ks
    changes = Changes(prompts, params, seed) if prompts else None
    total = changes.mean(changes.difference) if changes else (np.nan,) * 3
    reason = reason_of(changes.n if changes else 0, total, params)
    features, smallest = _features(prompts, changes, sets, names, params, seed, known=not reason)
    groups = {
        "difference": _difference(prompts, changes, total, reason, focus, smallest),
        "features": features,
        "nodes": node_group(changes, sets.nodes, params, known=not reason),
        "nulls": null_group(changes, sets.nulls, names, params, known=not reason),
    }
    if changes is None or reason:
        return groups | _unknown(names, sets, ks)
    return groups | _known(changes, names, sets, params)


def _difference(
    prompts: Sequence[Measured],
    changes: Changes | None,
    total: tuple[float, ...],
    reason: str,
    focus: str,
    smallest: float,
) -> xr.Dataset:
    odds = [float(each.mean()) for each in (changes.base, changes.adapted)] if changes else [np.nan] * 2
    values: dict[str, Any] = {
        "variant": np.array([focus], object),
        "base_odds": np.array(odds[:1]),
        "adapted_odds": np.array(odds[1:]),
        **{name: np.array([value]) for name, value in zip(("change", "low", "high"), total, strict=True)},
        "n_situations": np.array([changes.n if changes else 0], np.int32),
        "n_prompts": np.array([len(prompts)], np.int32),
        "reason": np.array([reason], object),
        "smallest_q": np.array([smallest]),
    }
    return xr.Dataset({name: ("difference", value) for name, value in values.items()})


def _features(
    prompts: Sequence[Measured],
    changes: Changes | None,
    sets: Sets,
    names: Sequence[str],
    params: FaithfulnessParams,
    seed: int,
    *,
    known: bool,
) -> tuple[xr.Dataset, float]:
    """The table of single features, and the smallest q that all of them together could have."""
    n = len(sets.singles)
    smallest = np.nan
    effect, p, q = (np.full(n, np.nan) for _ in range(3))
    fraction, low, high = (np.full(n, np.nan) for _ in range(3))
    said = np.full(n, "", object)
    if changes is not None and n:
        effect = changes.of["singles"].mean(axis=0)
        p, least = labels_p(prompts, params.labellings, seed)
        # They were chosen of more, by the same tokens' labels: of those that were not, p counts as 1.
        others = np.ones(max(0, sets.n_candidates - n))
        smallest = min(1.0, least * (n + len(others)) / n)
        q = benjamini_hochberg(np.concatenate([p, others]))[:n]
        if known:
            fraction, low, high = changes.fraction("singles")
            said = verdicts(fraction, low, high, q, silent=params.silent, fdr=params.fdr)
    rank = np.zeros((len(names), n), np.int32)
    for row, name in enumerate(names):
        place = {int(feature): at + 1 for at, feature in enumerate(sets.orders[name])}
        rank[row] = [place.get(int(feature), 0) for feature in sets.singles]
    columns = {"effect": effect, "fraction": fraction, "low": low, "high": high, "p": p, "q": q}
    table = xr.Dataset(
        {name: ("feature", values) for name, values in columns.items()}
        | {"verdict": ("feature", said), "order": ("order", np.array(names, object))}
        | {"rank": (("order", "feature"), rank)}
    )
    return table, smallest


def _known(
    changes: Changes, names: Sequence[str], sets: Sets, params: FaithfulnessParams
) -> dict[str, xr.Dataset]:
    n, n_random, ks = len(names), len(sets.random), params.ks
    found = _unknown(names, sets, ks)
    curves, orders, parts = found["curves"], found["orders"], found["parts"]
    for row, experiment in enumerate(EXPERIMENTS):
        ends = changes.fraction(experiment)
        # The curve with the adapter begins with it alone.
        whole = tuple(each[:, 1:] if experiment == GIVEN_WITH_ADAPTER else each for each in ends)
        of = changes.of[experiment][:, :, 1:] if experiment == GIVEN_WITH_ADAPTER else changes.of[experiment]
        for name, values in zip(("fraction", "low", "high"), whole, strict=True):
            curves[name].values[row] = values[:n]
        for name, values in zip(("area", "area_low", "area_high"), changes.area(of[:, :n], ks), strict=True):
            orders[name].values[row] = values
        orders["fewest"].values[row] = fewest(whole[0][:n], ks, params.reached)
        orders["fewest_sure"].values[row] = fewest(whole[1][:n], ks, params.reached)
        if experiment == GIVEN_WITH_ADAPTER:
            continue
        random = whole[0][n : n + n_random]
        for name, values in zip(
            ("random_mean", "random_low", "random_high"),
            (random.mean(axis=0), random.min(axis=0), random.max(axis=0)),
            strict=True,
        ):
            curves[name].values[row] = values
        _beside(orders, row, areas(random, ks))
    matched = fractions(changes.of[GIVEN], changes.difference)[n + n_random :]
    start = 0
    for row, name in enumerate(names):
        of = matched[start : start + len(sets.matched[name])]
        start += len(of)
        curves["matched_mean"].values[row], curves["matched_high"].values[row] = of.mean(0), of.max(0)
        area = areas(of, ks)
        orders["area_matched"].values[row] = area.mean()
        orders["p_matched"].values[row] = _p(orders["area"].values[0, row], area)
    for name, values in zip(("fraction", "low", "high"), changes.fraction("parts"), strict=True):
        parts[name].values[:] = values
    return found


def _beside(orders: xr.Dataset, row: int, random: np.ndarray) -> None:
    """Areas of random orders beside those of an experiment."""
    orders["area_random"].values[row] = random.mean()
    orders["area_random_high"].values[row] = random.max()
    orders["p_random"].values[row] = [_p(area, random) for area in orders["area"].values[row]]


def _p(area: float, others: np.ndarray) -> float:
    return float((1 + (others >= area).sum()) / (1 + len(others)))


def _unknown(names: Sequence[str], sets: Sets, ks: Sequence[int]) -> dict[str, xr.Dataset]:
    """Tables whose shares are not known."""
    n, m, k = len(EXPERIMENTS), len(names), len(ks)
    text = {"experiment": np.array(EXPERIMENTS, object), "order": np.array(names, object)}
    labels = {name: (name, values) for name, values in text.items()}
    whole, each = ("experiment", "order", "k"), ("experiment", "order")
    curves = {name: (whole, np.full((n, m, k), np.nan)) for name in ("fraction", "low", "high")}
    band = {
        f"random_{name}": (("experiment", "k"), np.full((n, k), np.nan)) for name in ("mean", "low", "high")
    }
    like = {f"matched_{name}": (("order", "k"), np.full((m, k), np.nan)) for name in ("mean", "high")}
    area = {name: (each, np.full((n, m), np.nan)) for name in ("area", "area_low", "area_high", "p_random")}
    few = {name: (each, np.full((n, m), -1, np.int32)) for name in ("fewest", "fewest_sure")}
    of_random = {name: ("experiment", np.full(n, np.nan)) for name in ("area_random", "area_random_high")}
    of_matched = {name: ("order", np.full(m, np.nan)) for name in ("area_matched", "p_matched")}
    ranked = {"n_ranked": ("order", np.array([len(sets.orders[name]) for name in names], np.int32))}
    part = np.array(["+".join(each) for each in PART_SETS], object)
    size = (2, len(part))
    return {
        "curves": xr.Dataset(labels | {"k": ("k", np.array(ks, np.int32))} | curves | band | like),
        "orders": xr.Dataset(labels | area | few | of_random | of_matched | ranked),
        "parts": xr.Dataset(
            {"direction": ("direction", np.array([GIVEN, TAKEN], object)), "part": ("part", part)}
            | {name: (("direction", "part"), np.full(size, np.nan)) for name in ("fraction", "low", "high")}
        ),
    }
