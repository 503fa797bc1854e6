"""Random layered graphs, dense, for circuit-tracer and for the store."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.analysis.pruning import (
    cumulative_share,
    edge_scores,
    influential,
    node_influence,
)
from pipeline.analysis.sparse_graph import SparseGraph, from_dense
from store.base.hashing import digest
from store.collections.item import Item
from store.schema.adapters import ADAPTERS
from store.schema.vocabulary import ADAPTER_PARTS, CAUSES
from tests.support.random_items import blank_scores


@dataclass(frozen=True, kw_only=True)
class Case:
    """A random layered graph in circuit-tracer's node order."""

    adjacency: np.ndarray
    kind: np.ndarray
    level: np.ndarray
    probability: np.ndarray
    n_layers: int
    n_positions: int

    @property
    def logit_weight(self) -> np.ndarray:
        """Probability of logits, 0 elsewhere."""
        weight = np.zeros(len(self.kind))
        weight[-len(self.probability) :] = self.probability
        return weight

    @property
    def sparse(self) -> SparseGraph:
        """For `pipeline.analysis.pruning`."""
        return from_dense(self.adjacency, kind=self.kind, level=self.level, logit_weight=self.logit_weight)

    @property
    def reference(self) -> Any:
        """As much of circuit-tracer's `Graph` as its pruning reads, in float64."""
        import torch  # only circuit-tracer needs it

        return SimpleNamespace(
            adjacency_matrix=torch.from_numpy(self.adjacency.astype(np.float64)),
            input_tokens=torch.arange(self.n_positions),
            logit_targets=[None] * len(self.probability),
            logit_probabilities=torch.from_numpy(self.probability),
            selected_features=torch.arange(int((self.kind == 0).sum())),
            cfg=SimpleNamespace(n_layers=self.n_layers),
        )


def make_case(
    seed: int, *, n_features: int = 40, n_layers: int = 3, n_positions: int = 4, n_logits: int = 3
) -> Case:
    """Normal weights, some of them zero; every edge leads to a higher layer."""
    random = np.random.default_rng(seed)
    counts = [n_features, n_layers * n_positions, n_positions, n_logits]
    kind = np.repeat(np.arange(4, dtype=np.int8), counts)
    level = np.concatenate(
        [
            np.sort(random.integers(0, n_layers, n_features)),
            np.repeat(np.arange(n_layers), n_positions),
            np.full(n_positions, -1),
            np.full(n_logits, n_layers),
        ]
    )
    shape = (len(kind), len(kind))
    adjacency = random.normal(size=shape) * (random.random(shape) < random.uniform(0.1, 0.9))
    adjacency[~((level[:, None] > level[None, :]) & np.isin(kind, [0, 3])[:, None])] = 0.0
    probability = random.random(n_logits)
    return Case(
        adjacency=adjacency.astype(np.float32),
        kind=kind,
        level=level,
        probability=(0.95 * probability / probability.sum()).astype(np.float32).astype(np.float64),
        n_layers=n_layers,
        n_positions=n_positions,
    )


def graph_item(case: Case, *, keep: float = 0.9, keep_edges: int | None = None, seed: int = 0) -> Item:
    """A `graphs` item of a case, with all edges among the kept nodes, or the first few.

    It has no adapter nodes; see `with_adapters`.
    """
    graph = case.sparse
    influence = node_influence(graph)
    kept = influential(graph, influence, keep)
    inside, scores = edge_scores(graph, kept)
    strongest = np.sort(np.argsort(-scores, kind="stable")[:keep_edges])
    edges = inside[strongest]
    place = (np.cumsum(kept) - 1).astype(np.int32)
    random = np.random.default_rng(seed)
    n_nodes, n_features, n_logits = len(case.kind), int((case.kind == 0).sum()), len(case.probability)
    position = np.concatenate(
        [
            random.integers(0, case.n_positions, n_features),
            np.tile(np.arange(case.n_positions), case.n_layers),
            np.arange(case.n_positions),
            np.full(n_logits, case.n_positions - 1),
        ]
    )
    value = np.where(case.kind == 3, case.logit_weight, np.nan)
    value[:n_features] = random.random(n_features) + 0.1
    arrays = {
        "token": np.arange(case.n_positions, dtype=np.int32),
        "target_token": np.arange(n_logits, dtype=np.int32),
        "target_logit": np.ones(n_logits, dtype=np.float32),
        "target_centred_logit": np.ones(n_logits, dtype=np.float32),
        "target_probability": case.probability.astype(np.float32),
        "target_is_candidate": np.ones(n_logits, dtype=bool),
        "active_layer": case.level[:n_features].astype(np.int16),
        "active_position": position[:n_features].astype(np.int32),
        "active_feature": np.arange(n_features, dtype=np.int32),
        "active_value": value[:n_features].astype(np.float32),
        "active_selected": np.ones(n_features, dtype=bool),
        "direct": case.adjacency[-n_logits:, :n_features].copy(),
        "node_kind": case.kind[kept],
        "node_layer": case.level[kept].astype(np.int16),
        "node_position": position[kept].astype(np.int32),
        "node_feature": np.arange(n_nodes, dtype=np.int32)[kept],
        "node_value": value[kept].astype(np.float32),
        "node_influence": influence[kept],
        "node_cumulative": cumulative_share(influence)[kept],
        "node_default": kept[kept],
        "edge_target": place[graph.target(edges)],
        "edge_source": place[graph.source[edges]],
        "edge_weight": graph.weight[edges],
        "edge_default": np.ones(len(edges), dtype=bool),
    }
    arrays |= blank_scores(arrays)
    arrays |= {
        "influence": signed_influence(case)[-n_logits:, :n_features].astype(np.float32),
        "total_effect": total_effect(case, value[:n_features]).astype(np.float32),
        "row_constant": random.normal(size=n_features + n_logits).astype(np.float32),
        "target_error_share": _error_share(case).astype(np.float32),
    }
    scalars = {
        "n_layers": case.n_layers,
        "n_selected": n_features,
        "n_nodes": n_nodes,
        "n_edges": len(graph.weight),
        "replacement_score": 0.5,
        "completeness_score": 0.5,
        "kept_node_influence": float(influence[kept].sum() / influence.sum()),
        "kept_edge_score": float(scores[strongest].sum() / scores.sum()),
    }
    if len(edges) == len(inside):
        scalars["kept_edge_score"] = 1.0
    return Item(
        key=digest(["graph", seed]),
        prompt_hash=digest(seed)[:12],
        variant="base",
        arrays=arrays,
        scalars=scalars,
    )


def signed_influence(case: Case) -> np.ndarray:
    """(I - N)^-1 - I by a dense inverse; N is A with rows scaled by their absolute sums."""
    size = np.abs(case.adjacency).sum(axis=1, keepdims=True, dtype=np.float64)
    share = case.adjacency / np.maximum(size, 1e-10)
    return np.linalg.inv(np.eye(len(share)) - share) - np.eye(len(share))


def total_effect(case: Case, activation: np.ndarray) -> np.ndarray:
    """D (I - M)^-1 by a dense inverse; (n_logits, n_features), all features selected."""
    n_features, n_logits = len(activation), len(case.probability)
    among = case.adjacency[:n_features, :n_features] / activation[:, None]
    direct = case.adjacency[-n_logits:, :n_features].astype(np.float64)
    return direct @ np.linalg.inv(np.eye(n_features) - among)


def with_adapters(item: Item, *, n_adapters: int = 6, seed: int = 0) -> Item:
    """The same item with adapter nodes of random places and edges to random later nodes.

    The first is `hidden`, the others components of `down_proj`.
    """
    random = np.random.default_rng(seed)
    arrays = item.arrays
    part = np.full(n_adapters, ADAPTER_PARTS.index("down"), dtype=np.int8)
    part[:1] = ADAPTER_PARTS.index("hidden")
    layer = random.integers(0, int(item.scalars["n_layers"]), n_adapters)
    later = (arrays["node_layer"][:, None] > layer) & np.isin(arrays["node_kind"], [0, 3])[:, None]
    target, source = np.nonzero(later & (random.random(later.shape) < 0.7))
    return replace(
        item,
        arrays={
            **arrays,
            "adapter_part": part,
            "adapter_layer": layer.astype(np.int16),
            "adapter_position": random.integers(0, len(arrays["token"]), n_adapters).astype(np.int32),
            "adapter_component": np.where(part == 0, np.arange(n_adapters), -1).astype(np.int32),
            "adapter_influence": random.random(n_adapters),
            "adapter_direct": random.normal(size=(len(arrays["target_token"]), n_adapters)).astype(
                np.float32
            ),
            "adapter_edge_target": target.astype(np.int32),
            "adapter_edge_source": source.astype(np.int32),
            "adapter_edge_weight": random.normal(size=len(target)).astype(np.float32),
        },
    )


def adapters_item(seed: int = 0, *, n_targets: int = 3, n_layers: int = 3, n_positions: int = 4) -> Item:
    """An `adapters` item of random numbers: every part, every layer, every position but BOS."""
    random = np.random.default_rng(seed)
    components = {0: (0, 1), 1: (-1,), 2: (-1,)}
    sources = [
        (part, layer, position, component)
        for part, own in components.items()
        for layer in range(n_layers)
        for position in range(1, n_positions)
        for component in own
    ]
    part, layer, position, component = np.array(sources).T
    origins = np.unique(np.array(sources)[:, :2], axis=0)
    written = np.unique(random.integers(0, [n_layers, n_positions, 5], size=(30, 3)), axis=0)
    # An MLP's adapter writes to later layers only, attention's to its own, too.
    reaches = written[:, 0] + (origins[:, :1] == ADAPTER_PARTS.index("attention")) > origins[:, 1:]
    change = random.normal(size=(n_targets, len(CAUSES)))
    effects = random.normal(size=(2, n_targets, len(sources)))
    arrays = {
        "token": np.arange(n_positions),
        "target_token": np.arange(10, 10 + n_targets),
        "target_centred_change": change.sum(axis=1),
        "change": change,
        "target_pattern_change": random.normal(size=n_targets),
        "source_part": part,
        "source_layer": layer,
        "source_position": position,
        "source_component": component,
        "source_direct": effects[0],
        "source_total_effect": effects[1],
        "write_layer": written[:, 0],
        "write_position": written[:, 1],
        "write_feature": written[:, 2],
        "write_value": random.random(len(written)),
        "write": random.normal(size=reaches.shape) * reaches,
        "origin_part": origins[:, 0],
        "origin_layer": origins[:, 1],
    }
    error = np.abs(change[:, CAUSES.index("error")])
    return Item(
        key=digest(["adapters", seed]),
        prompt_hash=digest(seed)[:12],
        variant="general@1.0",
        arrays={name: values.astype(ADAPTERS.arrays[name].dtype) for name, values in arrays.items()},
        scalars={"error_share_of_change": float((error / np.abs(change).sum(axis=1)).mean())},
    )


def _error_share(case: Case) -> np.ndarray:
    rows = np.abs(case.adjacency[-len(case.probability) :].astype(np.float64))
    return rows[:, case.kind == 1].sum(axis=1) / np.maximum(rows.sum(axis=1), 1e-10)
