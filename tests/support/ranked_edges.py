"""Edges between features of two layers, and their ranking."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import xarray as xr

from pipeline.analysis.edges import rank_edges
from pipeline.analysis.scores import feature_key
from store.collections.item import Item
from store.documents.prompts import Prompt
from tests.support.feature_builders import PARAMS, Node, edges_from, make_edges, make_prompt

BASE, ADAPTED, OTHER = "base", "general@1.0", "narrow@1.0"
Edges = dict[tuple[Node, Node], float]
Pair = tuple[tuple[int, int], tuple[int, int]]

# Features of layers 0 and 1; a target lies in a later layer.
SOURCES = [(0, f) for f in range(8)]
TARGETS = [(1, f) for f in range(6)]
KEYS = feature_key(*np.array([*SOURCES, *TARGETS]).T)
PROMPTS = [make_prompt(i, situation=i // 2) for i in range(48)]
PLANTED: Pair = ((0, 3), (1, 4))


def rank(
    items: Sequence[Item], prompts: Sequence[Prompt], *, nulls: Sequence[str] = (), **changed: object
) -> xr.Dataset:
    by_hash = {prompt.hash: prompt for prompt in prompts}
    params = PARAMS.model_copy(update=changed)
    return rank_edges(edges_from(items), by_hash, KEYS, params, seed=0, nulls=nulls)


def random_edges(rng: np.random.Generator, share: float = 0.4) -> Edges:
    """Edges of some pairs at some positions; several positions of a pair are one weight."""
    return {
        ((*source[:1], p, source[1]), (*target[:1], q, target[1])): float(rng.normal())
        for source, target, p, q in product(SOURCES, TARGETS, (1, 2), (2, 3))
        if rng.random() < share / 2
    }


def pairs_of(table: xr.Dataset) -> list[Pair]:
    names = ("source_layer", "source_index", "target_layer", "target_index")
    columns = zip(*(table[name].values.tolist() for name in names), strict=True)
    return [((a, b), (c, d)) for a, b, c, d in columns]


def column(table: xr.Dataset, name: str, contrast: str = f"{ADAPTED}-base") -> dict[Pair, float]:
    """An array of one contrast over all domains, by pair."""
    values = table[name].sel(contrast=contrast, domain="all").values.tolist()
    return dict(zip(pairs_of(table), values, strict=True))


def weight(edges: Edges, pair: Pair) -> float:
    """The reference: every edge of the pair, one after the other."""
    return sum(
        value
        for (source, target), value in edges.items()
        if ((source[0], source[2]), (target[0], target[2])) == pair
    )


def has(edges: Edges, pair: Pair) -> bool:
    return any(((s[0], s[2]), (t[0], t[2])) == pair for s, t in edges)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def two_sides(seed: int, size: float) -> tuple[list[Edges], list[Edges]]:
    """Base and adapted on every prompt; the planted edge is stronger in the latter."""
    rng = np.random.default_rng(seed)
    sides = [[random_edges(rng) for _ in PROMPTS] for _ in range(2)]
    for edges in sides[1]:
        node = ((0, 1, PLANTED[0][1]), (1, 2, PLANTED[1][1]))
        edges[node] = edges.get(node, 0.0) + size
    return sides[0], sides[1]


def of_sides(base: Sequence[Edges], adapted: Sequence[Edges], **changed: float) -> xr.Dataset:
    items = [
        make_edges(p, v, side[row])
        for row, p in enumerate(PROMPTS)
        for v, side in ((BASE, base), (ADAPTED, adapted))
    ]
    return rank(items, PROMPTS, **changed)
