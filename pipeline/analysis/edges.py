"""Edges that the adapter changes: pairs of features, adapted minus base, across prompts.

A pair is (layer, feature) -> (layer, feature): its weight on a prompt is the sum of its edges'
over positions. There are far more pairs than can be tested, so the strongest are, in a choice
that does not see which variant is which.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from tqdm import tqdm

from pipeline.analysis.contrasts import Situation
from pipeline.analysis.ranking import Ranked, rank
from pipeline.analysis.scores import PromptScores, feature_key, split_key, unlabelled_scores
from pipeline.analysis.spreading import Spread, in_threads
from pipeline.params.features import FeatureParams
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.vocabulary import ALL, FEATURE

READ: Final = ("node_kind", "node_layer", "node_feature", "edge_target", "edge_source", "edge_weight")
"""The arrays of a graph that this needs."""

# Entries that wait to be added up: 24 MB.
_PENDING: Final = 1 << 20
# Pairs of graphs that are kept from the first reading to the second: 256 MB.
_KEPT: Final = 1 << 24


@dataclass(frozen=True, kw_only=True)
class GraphEdges:
    """Where the edges of graphs are read; all at once they would not fit into memory.

    Attributes
    ----------
    traced
        Variants by prompt hash.
    read
        ``(prompt_hash, variant) -> Item`` of GRAPHS, with the arrays `READ`; twice for those not kept.
    stored
        The same items as they lie, where reading them in that order takes less; as many are read as are kept.
    """

    traced: Mapping[str, Sequence[str]]
    read: Callable[[str, str], Item]
    stored: Iterable[Item] = ()


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Sums by pair: sorted and unique codes, sums of sizes, and in how many situations each is."""

    codes: np.ndarray
    total: np.ndarray
    situations: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)


def pair_weights(item: Item, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a graph's edges between features, summed over positions.

    Parameters
    ----------
    item
        Of the GRAPHS collection, with the arrays `READ`. Its node arrays give each end's layer
        and feature: rows are other features in every graph.
    keys
        (feature,) sorted feature keys, among which are all of the item's.

    Returns
    -------
    codes
        (pair,) int64, sorted and unique: place of the source in `keys` times its length, plus
        place of the target.
    weights
        (pair,) float64, pre-activation, signed.

    Raises
    ------
    ValueError
        A feature is not among `keys`.
    """
    arrays = item.arrays
    is_feature = arrays["node_kind"] == FEATURE
    found = feature_key(arrays["node_layer"], arrays["node_feature"])[is_feature]
    place = np.zeros(len(is_feature), np.int64)
    place[is_feature] = np.searchsorted(keys, found)
    if (np.append(keys, -1)[place[is_feature]] != found).any():
        raise ValueError(f"an edge of prompt {item.prompt_hash} is of a feature that is not among the rows")
    inside = is_feature[arrays["edge_target"]] & is_feature[arrays["edge_source"]]
    source, target = (place[arrays[f"edge_{end}"][inside]] for end in ("source", "target"))
    codes, pair = np.unique(source * len(keys) + target, return_inverse=True)
    weights = arrays["edge_weight"][inside].astype(np.float64)
    return codes, np.bincount(pair, weights=weights, minlength=len(codes))


_Weighted = tuple[np.ndarray, np.ndarray, float]
"""A graph's pairs and weights, from `pair_weights`, and how much of its edges is kept."""


class _Weights:
    """A graph's `_Weighted` at a time; what was read first is kept until it is read last, room allowing."""

    def __init__(self, edges: GraphEdges, keys: np.ndarray) -> None:
        self._edges = edges
        self._keys = keys
        self._room = _KEPT
        self._kept: dict[tuple[str, str], _Weighted] = {}
        for item in edges.stored:
            if item.prompt_hash in edges.traced:
                self._weighted(item)
                if (item.prompt_hash, item.variant) not in self._kept:
                    break

    def first(self, prompt_hash: str, variant: str) -> _Weighted:
        found = self._kept.get((prompt_hash, variant))
        return self._weighted(self._edges.read(prompt_hash, variant)) if found is None else found

    def last(self, prompt_hash: str, variant: str) -> _Weighted:
        found = self._kept.pop((prompt_hash, variant), None)
        return self._weighted(self._edges.read(prompt_hash, variant)) if found is None else found

    def _weighted(self, item: Item) -> _Weighted:
        found = *pair_weights(item, self._keys), float(item.scalars["kept_edge_score"])
        if len(found[0]) <= self._room:
            self._room -= len(found[0])
            self._kept[item.prompt_hash, item.variant] = found
        return found


def rank_edges(
    edges: GraphEdges,
    prompts: Mapping[str, Prompt],
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
    *,
    nulls: Collection[str] = (),
    spread: Spread = in_threads,
) -> xr.Dataset:
    """The group `ranking_edges` of the FEATURES dataset.

    Parameters
    ----------
    edges
        Of every graph.
    prompts
        By hash.
    keys
        (feature,) sorted feature keys, among which are those of every graph.
    nulls
        Variants of random adapters.
    params, seed, spread
        How many pairs, and what `pipeline.analysis.ranking.rank` needs.

    Returns
    -------
    xarray.Dataset
        As in the schema. A pair without an edge on a prompt counts as 0 there.

    Notes
    -----
    Pairs are chosen by their mean |weight| over the situations of prompts that base and an
    adapted variant were traced on, all variants counting alike; those with an edge in at least
    `min_situations` situations, without which there is no test, come first. Exchanging a
    prompt's variants, which is what a flipped sign means, leaves the choice as it is, so that
    the permutation test holds for what was chosen.

    Memory grows with the distinct pairs of all graphs, 24 bytes each (a few times that while
    they are added up), and not with the number of graphs: of these so many are kept as there is room for.
    """
    read = _Weights(edges, keys)
    every = _outside(_strengths(edges, prompts, read), keys, params.excluded_layers)
    testable = every.situations >= params.min_situations
    chosen = np.sort(np.lexsort((every.codes, -every.total, ~testable))[: params.edges])
    codes = every.codes[chosen]
    scores: list[PromptScores] = []
    kept: dict[tuple[str, str], float] = {}
    for prompt_hash, variants in tqdm(edges.traced.items(), desc="edges, weights", unit="prompt"):
        for variant in variants:
            pairs, weights, kept[variant, prompt_hash] = read.last(prompt_hash, variant)
            mine = np.isin(pairs, codes, assume_unique=True)
            scores.append(unlabelled_scores(prompt_hash, variant, pairs[mine], weights[mine]))
    floor = params.floor.pre_activation
    how = Ranked(name="edges", kind="unlabelled", floor=floor, nulls=nulls, spread=spread)
    table, _ = rank(scores, prompts, codes, params, seed, how)
    of_base, lowest = _of_base(table, scores, kept, prompts, codes)
    return table.rename(feature="pair").assign(
        {
            **_ends(codes, keys),
            "base_weight": (("contrast", "domain", "pair"), of_base.astype(np.float32)),
            "strength": ("pair", every.total[chosen].astype(np.float32)),
            "n_pairs": ("contrast", np.full(len(lowest), len(every), np.int64)),
            "kept_edge_score": ("contrast", lowest),
        }
    )


def _strengths(edges: GraphEdges, prompts: Mapping[str, Prompt], read: _Weights) -> _Pairs:
    """Every pair's mean |weight| over situations (as `total`), and in how many it has an edge."""
    situations: dict[Situation, list[str]] = {}
    for prompt_hash, variants in edges.traced.items():
        if BASE in variants and len(variants) > 1:
            prompt = prompts[prompt_hash]
            situations.setdefault((prompt.domain or "", prompt.situation), []).append(prompt_hash)
    known, waiting = _added([]), []
    for hashes in tqdm(situations.values(), desc="edges, strongest", unit="situation"):
        parts = []
        for prompt_hash in hashes:
            variants = edges.traced[prompt_hash]
            for variant in variants:
                codes, weights, _ = read.first(prompt_hash, variant)
                # A mean over variants, then prompts, then situations.
                size = np.abs(weights) / (len(variants) * len(hashes) * len(situations))
                parts.append(_Pairs(codes=codes, total=size, situations=np.zeros(len(codes), np.int64)))
        one = _added(parts)
        waiting.append(_Pairs(codes=one.codes, total=one.total, situations=np.ones(len(one), np.int64)))
        # Added up when as many wait as are known: each pair is then sorted few times.
        if sum(map(len, waiting)) > max(_PENDING, len(known)):
            known, waiting = _added([known, *waiting]), []
    return _added([known, *waiting])


def _added(parts: Sequence[_Pairs]) -> _Pairs:
    """One sum for every pair of all parts."""
    codes = np.concatenate([np.empty(0, np.int64), *(part.codes for part in parts)])
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    total = np.concatenate([np.empty(0), *(part.total for part in parts)])[order]
    situations = np.concatenate([np.empty(0, np.int64), *(part.situations for part in parts)])[order]
    return _Pairs(
        codes=codes[first],
        total=np.add.reduceat(total, first),
        situations=np.add.reduceat(situations, first),
    )


def _of_base(
    table: xr.Dataset,
    scores: Sequence[PromptScores],
    kept: Mapping[tuple[str, str], float],
    prompts: Mapping[str, Prompt],
    codes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The base's mean weights over prompts of both variants, (contrast, domain, pair) float64, beside what is
    changed; and the smallest `kept_edge_score` of their graphs, (contrast,) float64, NaN without any.
    """
    base = {score.prompt_hash: score for score in scores if score.variant == BASE}
    weights = np.full(table["effect"].shape, np.nan)
    lowest = np.full(len(weights), np.nan)
    for row, contrast in enumerate(table["contrast"].values):
        adapted = str(contrast).removesuffix(f"-{BASE}")
        both = [h for h in base if (adapted, h) in kept]
        lowest[row] = min((kept[v, h] for h in both for v in (BASE, adapted)), default=np.nan)
        for column, domain in enumerate(table["domain"].values):
            inside = [prompts[h] for h in both if domain in (ALL, prompts[h].domain)]
            if inside:
                weights[row, column] = _mean_weights(base, inside, codes)
    return weights, lowest


def _mean_weights(
    scores: Mapping[str, PromptScores], prompts: Sequence[Prompt], codes: np.ndarray
) -> np.ndarray:
    """(pair,) float64: mean over situations of the mean over a situation's prompts."""
    situations: dict[Situation, list[np.ndarray]] = {}
    for prompt in prompts:
        score = scores[prompt.hash]
        weights = np.zeros(len(codes))
        weights[np.searchsorted(codes, score.keys)] = score.values
        situations.setdefault((prompt.domain or "", prompt.situation), []).append(weights)
    means: np.ndarray = np.mean([np.mean(rows, axis=0) for rows in situations.values()], axis=0)
    return means


def _outside(pairs: _Pairs, keys: np.ndarray, layers: Collection[int]) -> _Pairs:
    """The pairs without an end in these layers."""
    ends = _ends(pairs.codes, keys)
    kept = ~np.isin([ends[f"{end}_layer"][1] for end in ("source", "target")], list(layers)).any(axis=0)
    return _Pairs(codes=pairs.codes[kept], total=pairs.total[kept], situations=pairs.situations[kept])


def _ends(codes: np.ndarray, keys: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    """Layer and index of both ends of every pair."""
    found: dict[str, tuple[str, np.ndarray]] = {}
    for end, place in zip(("source", "target"), np.divmod(codes, max(1, len(keys))), strict=True):
        layer, index = split_key(keys[place])
        found |= {f"{end}_layer": ("pair", layer), f"{end}_index": ("pair", index)}
    return found
