"""What models are steered with: features one by one and in sets, and what these are held against.

Added, to base: every entry writes equally much, in units of what the layer's MLP writes by itself, so that
one strength means the same for all of them. Ablated, in the adapted variant: activations become 0.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from math import sqrt
from typing import Any, Final

import numpy as np
import xarray as xr

from store.schema.steered import (
    ABLATED,
    ADDED,
    BASELINE,
    FEATURE,
    MEAN_DIFFERENCE,
    NULL_FEATURE,
    RANDOM_DIRECTION,
    RANDOM_FEATURE,
    RANDOM_SET,
    SET,
)

Member = tuple[int, int]
"""Layer and index of a feature."""

_NEAREST: Final = 20
_KEPT: Final = 9
"""Digits of a direction's numbers in a key."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the tables.

    Attributes
    ----------
    side
        `ADDED` or `ABLATED`.
    kind
        Of `store.schema.steered.KINDS`.
    orders
        Which orders chose it; of a feature of null adapters, which of them.
    members
        Its features; none of a direction.
    layer, direction
        Behind which layer, and (d_model,) numbers; none of features.
    """

    side: str
    kind: str
    orders: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    layer: int = -1
    direction: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """How many features, or directions."""
        return len(self.members) or len(self.direction[:1])


@dataclass(frozen=True, kw_only=True)
class Scales:
    """What strengths are measured in.

    Attributes
    ----------
    written
        (layer,) mean length of what base's MLPs write at answers.
    decoder
        (layer, feature) lengths of decoder rows.
    difference
        (layer, d_model) mean residual stream behind a layer, adapted minus base.
    activity
        (layer, feature) mean activation in the adapted variant's answers.
    """

    written: np.ndarray
    decoder: np.ndarray
    difference: np.ndarray
    activity: np.ndarray

    def steps(self, entry: Entry, strength: float) -> list[dict[str, Any]]:
        """What an entry does, as `pipeline.interventions.row_hooks.as_setting` reads it.

        Added features write `strength` times what their layer's MLP does, each of k features a share of
        1 / sqrt(k), so that what k unlike features write together is as long; a direction joins the residual
        stream, as long. Ablated ones become 0, and a direction is taken away once.
        """
        if entry.kind == BASELINE:
            return []
        if entry.direction:
            value = strength * self.written[entry.layer] if entry.side == ADDED else -1.0
            direction = list(entry.direction)
            return [{"layer": entry.layer, "direction": direction, "value": float(value), "site": "residual"}]
        if entry.side == ABLATED:
            return [{"layer": at, "feature": of, "mode": "ablate", "value": 0.0} for at, of in entry.members]
        values = self.values(entry, strength)
        return [
            {"layer": at, "feature": of, "mode": "add", "value": value}
            for (at, of), value in zip(entry.members, values, strict=True)
        ]

    def values(self, entry: Entry, strength: float) -> list[float]:
        """What is added to the activation of each member."""
        share = strength / sqrt(max(1, len(entry.members)))
        return [float(share * self.written[at] / self.decoder[at, of]) for at, of in entry.members]


def firsts(
    rank: np.ndarray, orders: Sequence[str], members: Sequence[Member], top: int
) -> dict[str, list[Member]]:
    """The first features of each order, by their rank (order, feature) from 1; 0: not in it."""
    found = {}
    for name, row in zip(orders, rank, strict=True):
        known = np.flatnonzero((row >= 1) & (row <= top))
        found[name] = [members[place] for place in known[np.argsort(row[known])].tolist()]
    return found


def response_firsts(
    contrasts: xr.Dataset,
    ranking: xr.Dataset,
    variant: str,
    questions: Collection[str],
    known: np.ndarray,
    top: int,
) -> list[Member]:
    """The features that best tell a variant's misaligned answers to some questions from aligned ones.

    The order of the dataset is over all questions, also those on which effects are measured.

    Parameters
    ----------
    contrasts, ranking
        The groups of the RESPONSE_FEATURES dataset: its first judge's, answers read by the variant that wrote
        them, mean activation, what length explains taken out.
    questions
        Ids; a question's forms are averaged first.
    known
        (layer, feature) bool: which features may be named.

    Returns
    -------
    list
        None where these questions have no answers of both kinds.
    """
    mine = np.flatnonzero((contrasts["variant"].values == variant) & (contrasts["reader"].values == "own"))
    layer, index = ranking["layer"].values, ranking["index"].values
    if not len(mine):
        return []
    mean = list(ranking["statistic"].values).index("mean")
    effect = ranking["question_effect"].values[int(mine[0]), mean].astype(np.float64)  # (question, feature)
    ids = np.array([str(name).rpartition(" (")[0] for name in ranking["question"].values], object)
    told = ~np.isnan(effect).all(axis=1)
    forms = [effect[told & (ids == name)] for name in sorted(questions)]
    by_question = [each.mean(axis=0) for each in forms if len(each)]
    if not by_question:
        return []
    score = np.mean(by_question, axis=0)
    rows = np.flatnonzero(~np.isnan(score) & known[layer, index])
    first = rows[np.argsort(-score[rows], kind="stable")[:top]]
    return [(int(layer[row]), int(index[row])) for row in first]


def candidates(
    side: str, first: Mapping[str, Sequence[Member]], top: int, sizes: Sequence[int]
) -> list[Entry]:
    """The `top` features of all orders one by one, then the first k of each together; one entry a set."""
    chosen: dict[tuple[Member, ...], list[str]] = {}
    for order, features in first.items():
        for feature in features[:top]:
            chosen.setdefault((feature,), []).append(order)
    for size in sizes:
        for order, features in first.items():
            if len(features) >= size > 1:
                chosen.setdefault(tuple(sorted(features[:size])), []).append(order)
    return [
        Entry(side=side, kind=FEATURE if len(members) == 1 else SET, orders=tuple(orders), members=members)
        for members, orders in chosen.items()
    ]


def best_sets(
    entries: Sequence[Entry], effect: Sequence[float], sizes: Sequence[int], name: str
) -> list[Entry]:
    """The k single features with the largest effects, together; `name` is the order's.

    `effect` is of the questions on which features are chosen; NaN: none.
    """
    known = [place for place, value in enumerate(effect) if np.isfinite(value)]
    ordered = sorted(known, key=lambda place: -effect[place])
    return [
        replace(
            entries[0],
            kind=SET,
            orders=(name,),
            members=tuple(sorted(entries[place].members[0] for place in ordered[:size])),
        )
        for size in sizes
        if 1 < size <= len(ordered)
    ]


def random_entries(
    like: Sequence[Entry], n: int, known: np.ndarray, scales: Scales, rng: np.random.Generator
) -> list[Entry]:
    """Random features, or sets of them, in the layers of the entries in turn.

    Added ones are drawn from all that are known but those of `like`, since all write equally much. Ablated
    ones are drawn among the `_NEAREST` by the log ratio of activation times decoder length, of those that
    are active (trap 34). Where a layer has too few, there are fewer entries.

    Parameters
    ----------
    like
        Of one side.
    n
        Entries wanted.
    known
        (layer, feature) bool: which features may be drawn.
    """
    taken = known & (scales.decoder > 0)
    for entry in like:
        for layer, feature in entry.members:
            taken[layer, feature] = False
    patterns = [entry for entry in like if entry.members]
    if any(entry.side == ABLATED for entry in patterns):
        taken &= scales.activity > 0
    length = np.full(taken.shape, -np.inf)
    moves = scales.activity * scales.decoder
    np.log(moves, out=length, where=moves > 0)
    found: dict[tuple[Member, ...], Entry] = {}
    for entry in islice(cycle(patterns), 4 * n if patterns else 0):
        members = _drawn(entry, taken, length, rng)
        if members is not None:
            kind = RANDOM_FEATURE if len(members) == 1 else RANDOM_SET
            found[members] = replace(entry, kind=kind, orders=(), members=members)
        if len(found) == n:
            break
    return list(found.values())


def _drawn(
    entry: Entry, allowed: np.ndarray, length: np.ndarray, rng: np.random.Generator
) -> tuple[Member, ...] | None:
    members: list[Member] = []
    for layer, feature in entry.members:
        pool = np.flatnonzero(allowed[layer])
        pool = pool[[(layer, index) not in members for index in pool.tolist()]] if members else pool
        if entry.side == ABLATED and np.isfinite(length[layer, feature]):
            pool = pool[
                np.argsort(np.abs(length[layer, pool] - length[layer, feature]), kind="stable")[:_NEAREST]
            ]
        if not len(pool):
            return None
        members.append((layer, int(rng.choice(pool))))
    return tuple(sorted(members))


def directions(side: str, n: int, scales: Scales, rng: np.random.Generator) -> Iterator[Entry]:
    """The mean difference behind every layer, and `n` random directions as long, layers in turn.

    Added, all are of length 1, and the strength says how far.
    """
    lengths = np.linalg.norm(scales.difference, axis=1)
    layers = [layer for layer, length in enumerate(lengths.tolist()) if length > 0]
    for layer in layers:
        scale = 1.0 if side == ABLATED else 1 / lengths[layer]
        yield _along(side, MEAN_DIFFERENCE, layer, scale * scales.difference[layer].astype(np.float64))
    for layer in islice(cycle(layers), n if layers else 0):
        drawn = rng.standard_normal(scales.difference.shape[1])
        length = lengths[layer] if side == ABLATED else 1.0
        yield _along(side, RANDOM_DIRECTION, layer, np.asarray(drawn * length / np.linalg.norm(drawn)))


def _along(side: str, kind: str, layer: int, direction: np.ndarray) -> Entry:
    return Entry(side=side, kind=kind, layer=layer, direction=tuple(np.round(direction, _KEPT).tolist()))


def null_entries(side: str, first: Mapping[str, Sequence[Member]], besides: Sequence[Entry]) -> list[Entry]:
    """The first features of null adapters one by one, but for those that are candidates."""
    known = {entry.members for entry in besides}
    chosen: dict[Member, list[str]] = {}
    for adapter, features in first.items():
        for feature in features:
            if (feature,) not in known:
                chosen.setdefault(feature, []).append(adapter)
    return [
        Entry(side=side, kind=NULL_FEATURE, orders=tuple(adapters), members=(feature,))
        for feature, adapters in chosen.items()
    ]
