"""Which features are given and taken: orders by each ranking, by chance, and matched by how far they move.

All orders are made on the situations where nothing is measured, of the same features: those that are
active in enough of these situations.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.scores import feature_key
from pipeline.analysis.validation_sets import Ranking, Situation
from store.documents.variants import BASE
from store.schema.vocabulary import ADAPTER_NODES, GRADIENTS

_NEAREST: Final = 20
_OF_CHANGE: Final = ("change", "activation")
"""Scores that are of a difference by themselves."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What `pipeline.interventions.faithful.compute_moved` found of one prompt.

    Attributes
    ----------
    situation
        What the prompt is about.
    layer, index, score, moved
        (feature,) each, of the features that differ between base and the adapted variant.
    node_score
        (part, layer) of adapter nodes.
    """

    situation: Situation
    layer: np.ndarray
    index: np.ndarray
    score: np.ndarray
    moved: np.ndarray
    node_score: np.ndarray


@dataclass(frozen=True, kw_only=True)
class NodeSets:
    """Orders that hold adapter nodes, of (layer, index); index -1 is a layer's MLP, -2 its attention.

    Attributes
    ----------
    orders
        By place in `store.schema.vocabulary.NODE_ORDERS`.
    random
        By place, orders of the same nodes and features by chance.
    n_layers
        Of the model.
    """

    orders: Sequence[Sequence[tuple[int, int]]]
    random: Sequence[Sequence[Sequence[tuple[int, int]]]]
    n_layers: int

    def all(self) -> list[Sequence[tuple[int, int]]]:
        """The orders, then the random ones of each in turn."""
        return [*self.orders, *(order for each in self.random for order in each)]


def ranking_of(order: str, focus: str) -> Ranking:
    """The score and contrast of an order that is a ranking of ours.

    >>> ranking_of("direct", "general@1.0"), ranking_of("change", "general@1.0")
    (('direct', 'evil-safe|general@1.0'), ('change', 'general@1.0-base'))
    """
    return order, f"{focus}-{BASE}" if order in _OF_CHANGE else f"evil-safe|{focus}"


def means_of_moved(found: Sequence[Moved], layer: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, ...]:
    """EAP-IG scores and lengths moved, (feature,) float64 each: over prompts, then situations; 0 unmoved."""
    keys = feature_key(layer, index)
    order = np.argsort(keys)
    names = sorted({one.situation for one in found})
    sums = np.zeros((2, len(names), len(keys)))
    for one in found:
        own = feature_key(one.layer, one.index)
        place = np.searchsorted(keys, own, sorter=order)
        column = order[np.minimum(place, len(keys) - 1)]
        known = keys[column] == own
        row = names.index(one.situation)
        for total, values in zip(sums, (one.score, one.moved), strict=True):
            total[row, column[known]] += values[known]
    n = np.array([sum(one.situation == name for one in found) for name in names])
    score, moved = (sums / n[None, :, None]).mean(axis=1) if names else np.full((2, len(keys)), np.nan)
    return score, moved


def node_means(found: Sequence[Moved], n_layers: int) -> np.ndarray:
    """EAP-IG scores of adapter nodes, (part, layer) float64: over prompts, then situations."""
    if not found:
        return np.full((len(ADAPTER_NODES), n_layers), np.nan)
    names = sorted({one.situation for one in found})
    of_each = [[one.node_score for one in found if one.situation == name] for name in names]
    means: np.ndarray = np.mean([np.mean(each, axis=0, dtype=np.float64) for each in of_each], axis=0)
    return means


def node_sets(
    nodes: np.ndarray, features: Sequence[tuple[int, int]], score: np.ndarray, n: int, length: int, seed: int
) -> NodeSets:
    """Orders by EAP-IG of adapter nodes alone, and among features; and `n` by chance like each.

    Parameters
    ----------
    nodes
        (part, layer) scores of `node_means`.
    features, score
        Those that may be ordered, and their scores (feature,); NaN: in no order.
    length
        At most so long.
    """
    n_layers = nodes.shape[1]
    named = [(layer, -1 - part) for part in range(len(nodes)) for layer in range(n_layers)]
    rng = np.random.default_rng(seed)
    orders, random = [], []
    for names, scores in (
        (named, nodes.ravel()),
        ([*named, *features], np.concatenate([nodes.ravel(), score])),
    ):
        rows = ordered(GRADIENTS, scores, np.ones(len(names), bool), length)
        orders.append([names[row] for row in rows])
        random.append([[names[row] for row in rng.permutation(len(names))[:length]] for _ in range(n)])
    return NodeSets(orders=orders, random=random, n_layers=n_layers)


def response_scores(
    contrasts: xr.Dataset, ranking: xr.Dataset, variant: str, layer: np.ndarray, index: np.ndarray
) -> np.ndarray:
    """How features tell a variant's misaligned answers from aligned ones, (feature,) float64; NaN untested.

    `contrasts` and `ranking` are the groups of the RESPONSE_FEATURES dataset: its first judge's, answers
    read by the variant that wrote them, mean activation, what length explains taken out.
    """
    found = np.full(len(layer), np.nan)
    mine = (contrasts["variant"].values == variant) & (contrasts["reader"].values == "own")
    if mine.any():
        row = int(np.flatnonzero(mine)[0])
        effect = ranking["adjusted"].values[row, list(ranking["statistic"].values).index("mean")]
        of = dict(
            zip(feature_key(ranking["layer"].values, ranking["index"].values).tolist(), effect, strict=True)
        )
        found = np.array([of.get(key, np.nan) for key in feature_key(layer, index).tolist()])
    return found


def ordered(order: str, score: np.ndarray, allowed: np.ndarray, n: int) -> np.ndarray:
    """The first n rows of an order: highest score first, of activations the largest change.

    Parameters
    ----------
    order
        Of `store.schema.vocabulary.FAITHFUL_ORDERS`.
    score
        (feature,) float64; one that is NaN is in no order.
    allowed
        (feature,) bool: which features are ordered.
    """
    rows = np.flatnonzero(allowed & ~np.isnan(score))
    value = np.abs(score[rows]) if order == "activation" else score[rows]
    first: np.ndarray = rows[np.argsort(-value, kind="stable")[:n]]
    return first


def random_orders(allowed: np.ndarray, n: int, length: int, seed: int) -> list[np.ndarray]:
    """Orders of the allowed features by chance."""
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(allowed)
    return [rng.permutation(rows)[:length] for _ in range(n)]


def matched_orders(
    first: np.ndarray, layer: np.ndarray, moved: np.ndarray, allowed: np.ndarray, n: int, top: int, seed: int
) -> list[np.ndarray]:
    """For each feature of an order another one of its layer that moves about as far.

    Drawn among the nearest `_NEAREST` by the log ratio of the lengths moved; what does not move is matched
    by what does not. None is used twice in a draw, and the order's own first `top` are no controls. Where
    a layer has no more, the draw ends.
    """
    taken = np.zeros(len(layer), bool)
    taken[first[:top]] = True
    pools = {at: np.flatnonzero(allowed & ~taken & (layer == at)) for at in np.unique(layer[first])}
    rng = np.random.default_rng(seed)
    with np.errstate(divide="ignore"):
        length = np.log(moved)
    distances = [_distance(row, length, pools[int(layer[row])]) for row in first.tolist()]
    return [_matched(first, layer, distances, pools, rng) for _ in range(n)]


def _distance(row: int, length: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """(feature of the pool,) how far their lengths are from a feature's; NaN or infinite: no match for it."""
    both_still = np.isneginf(length[pool]) & np.isneginf(length[row])
    with np.errstate(invalid="ignore"):
        distance = np.where(both_still, 0.0, np.abs(length[pool] - length[row]))
    distance[pool == row] = np.nan
    return distance


def _matched(
    first: np.ndarray,
    layer: np.ndarray,
    distances: Sequence[np.ndarray],
    pools: Mapping[int, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    free = {at: np.ones(len(pool), bool) for at, pool in pools.items()}
    found: list[int] = []
    for row, distance in zip(first.tolist(), distances, strict=True):
        at = int(layer[row])
        pool, left = pools[at], free[at]
        places = np.flatnonzero(left & np.isfinite(distance))
        if not len(places):
            break
        # Ties fall by chance: those that do not move are many.
        near = _nearest(places, distance[places], rng.random(len(places)))
        chosen = int(rng.choice(near))
        left[chosen] = False
        found.append(int(pool[chosen]))
    return np.array(found, np.int64)


def _nearest(places: np.ndarray, distance: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """The first `_NEAREST` places by distance, then chance; of the others, most of them, no order is made."""
    if len(places) > _NEAREST:
        few = np.flatnonzero(distance <= np.partition(distance, _NEAREST - 1)[_NEAREST - 1])
        places, distance, chance = places[few], distance[few], chance[few]
    found: np.ndarray = places[np.lexsort((chance, distance))[:_NEAREST]]
    return found


def firsts(orders: Iterable[np.ndarray], top: int) -> np.ndarray:
    """Rows that are among the first of any order, ascending."""
    found: np.ndarray = np.unique(np.concatenate([np.empty(0, np.int64), *(order[:top] for order in orders)]))
    return found
