"""From a trace to what the store keeps of it.

Node order everywhere is circuit-tracer's: selected features, errors by layer and
position, tokens, logits. ``A[target, source]``: the direct effects of features on logits
are ``A[-n_logits:, :n_features]`` (trap 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from circuit_tracer.graph import Graph

from pipeline.analysis.pruning import (
    cumulative_share,
    edge_scores,
    graph_scores,
    influential,
    node_influence,
    prune,
)
from pipeline.analysis.sparse_graph import SparseGraph, from_dense
from pipeline.attribution.active_arrays import active_arrays, to_numpy, total_effect, unselected_arrays
from pipeline.attribution.adapter_items import adapter_arrays
from pipeline.attribution.exact_scores import NodeOrder, exact_scores
from pipeline.attribution.trace import Trace
from store.collections.item import Item
from store.schema.vocabulary import ERROR, FEATURE, LOGIT, TOKEN

_SOME: Final = 8
"""One edge in so many is looked at first, to tell which of the others cannot be kept."""


def sparse_graph(graph: Graph) -> SparseGraph:
    """The non-zero edges of a graph, with each node's kind, level and logit weight."""
    n_features, n_layers, n_positions = _sizes(graph)
    layers = graph.active_features[graph.selected_features][:, 0].numpy()
    n_logits = len(graph.logit_targets)
    kind = np.repeat(
        np.array([FEATURE, ERROR, TOKEN, LOGIT], dtype=np.int8),
        [n_features, n_layers * n_positions, n_positions, n_logits],
    )
    level = np.concatenate(
        [
            layers,
            np.repeat(np.arange(n_layers), n_positions),
            np.full(n_positions, -1),
            np.full(n_logits, n_layers),
        ]
    )
    weight = np.zeros(len(kind))
    weight[-n_logits:] = graph.logit_probabilities.float().numpy()
    return from_dense(graph.adjacency_matrix.numpy(), kind=kind, level=level, logit_weight=weight)


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """A graph's edges, and the unsigned influence of its nodes on the logits, (n_nodes,)."""

    graph: SparseGraph
    influence: np.ndarray


def weigh(trace: Trace) -> Weighed:
    """See `sparse_graph` and `pipeline.analysis.pruning.node_influence`."""
    graph = sparse_graph(trace.graph)
    return Weighed(graph=graph, influence=node_influence(graph))


def kept_keys(trace: Trace, weighed: Weighed, keep_node_threshold: float) -> np.ndarray:
    """Keys of the nodes that hold a share of all influence, for `graph_items`; int64."""
    kept = influential(weighed.graph, weighed.influence, keep_node_threshold)
    keys: np.ndarray = _node_keys(_node_arrays(trace.graph, weighed.graph))[kept]
    return keys


def graph_items(
    trace: Trace,
    *,
    weighed: Weighed | None = None,
    own_candidates: Sequence[int],
    key: str,
    prompt_hash: str,
    variant: str,
    node_threshold: float,
    edge_threshold: float,
    keep_node_threshold: float,
    keep_edges: int,
    keep_too: np.ndarray | None = None,
) -> tuple[Item, Item]:
    """Items for the collections of graphs and of full graphs.

    Parameters
    ----------
    trace, weighed
        What `pipeline.attribution.trace` gave, and `weigh` of it; weighed here if None.
    own_candidates
        Token ids that are candidates of this variant itself.
    key, prompt_hash, variant
        Of the items.
    node_threshold, edge_threshold
        circuit-tracer's defaults, for the masks of what is shown first.
    keep_node_threshold
        Share of all influence that the kept nodes hold, at least `node_threshold`.
    keep_edges
        At most so many edges among them are kept: those shown first, then by score. As many
        edges of adapter nodes, by score.
    keep_too
        Keys of nodes that are kept whatever their influence, `kept_keys` of other variants.

    Returns
    -------
    graph, full_graph
        Items of the schemas ``graphs`` and ``full_graphs``.
    """
    if keep_node_threshold < node_threshold:
        raise ValueError("keep_node_threshold must be at least node_threshold")
    weighed = weigh(trace) if weighed is None else weighed
    graph, influence = weighed.graph, weighed.influence
    default = prune(
        graph,
        nodes=influential(graph, influence, node_threshold),
        edge_threshold=edge_threshold,
    )
    kept = influential(graph, influence, keep_node_threshold)
    nodes = _node_arrays(trace.graph, graph)
    if keep_too is not None:
        kept |= np.isin(_node_keys(nodes), keep_too)
    inside, scores = edge_scores(graph, kept)
    chosen = _kept_edges(scores, default.edges[inside], keep_edges)
    edges = inside[chosen]
    replacement, completeness = graph_scores(graph, influence=influence)
    new_index = np.cumsum(kept) - 1
    exact = exact_scores(
        trace.graph.adjacency_matrix,
        trace.graph.activation_values[trace.graph.selected_features].float(),
        NodeOrder.of(trace.graph),
    )
    nodes |= {
        "node_influence": influence,
        "node_cumulative": cumulative_share(influence),
        "node_default": default.nodes,
    }
    arrays = {
        **_target_arrays(trace, own_candidates),
        "target_error_share": exact.error_share.astype(np.float32),
        **active_arrays(trace),
        "influence": exact.features.influence.astype(np.float32),
        "total_effect": total_effect(trace, exact),
        **unselected_arrays(trace),
        "row_unselected": to_numpy(trace.unselected, np.float32),
        "row_constant": to_numpy(trace.constant, np.float32),
        **adapter_arrays(trace, graph, influence, kept, share=edge_threshold, limit=keep_edges),
        **{name: values[kept] for name, values in nodes.items()},
        "edge_target": new_index[graph.target(edges)].astype(np.int32),
        "edge_source": new_index[graph.source[edges]].astype(np.int32),
        "edge_weight": graph.weight[edges],
        "edge_default": default.edges[edges],
    }
    scalars = {
        "n_layers": _sizes(trace.graph)[1],
        "n_selected": _sizes(trace.graph)[0],
        "n_nodes": graph.n_nodes,
        "n_edges": len(graph.weight),
        "replacement_score": replacement,
        "completeness_score": completeness,
        "kept_node_influence": _share(influence[kept].sum(), influence.sum()),
        "kept_edge_score": _share(scores[chosen].sum(), scores.sum()),
    }
    names = {"key": key, "prompt_hash": prompt_hash, "variant": variant}
    csr = {
        "data": graph.weight,
        "indices": graph.source.astype(np.int32, copy=False),
        "indptr": graph.begins.astype(np.int64),
    }
    return (
        Item(arrays=arrays, scalars=scalars, **names),
        Item(arrays=csr, scalars={}, **names),
    )


def _sizes(graph: Graph) -> tuple[int, int, int]:
    """Selected features, layers, positions."""
    return len(graph.selected_features), int(graph.cfg.n_layers), len(graph.input_tokens)


def _target_arrays(trace: Trace, own_candidates: Sequence[int]) -> dict[str, np.ndarray]:
    ids = trace.graph.logit_token_ids
    raw = trace.raw_logits.double()
    return {
        "token": to_numpy(trace.graph.input_tokens, np.int32),
        "target_token": to_numpy(ids, np.int32),
        "target_logit": to_numpy(trace.logits[ids], np.float32),
        # The mean over the vocabulary is taken before any softcap, as in logit vectors.
        "target_centred_logit": to_numpy(raw[ids] - raw.mean(), np.float32),
        "target_probability": to_numpy(trace.graph.logit_probabilities, np.float32),
        "target_is_candidate": np.isin(ids.numpy(), np.asarray(own_candidates, dtype=np.int64)),
    }


def _node_arrays(graph: Graph, sparse: SparseGraph) -> dict[str, np.ndarray]:
    """Kind, layer, position, feature and value of every node, in circuit-tracer's order."""
    _, n_layers, n_positions = _sizes(graph)
    n_logits = len(graph.logit_targets)
    chosen = graph.active_features[graph.selected_features].numpy()
    n_errors = n_layers * n_positions
    positions = np.arange(n_positions)
    return {
        "node_kind": sparse.kind,
        "node_layer": sparse.level.astype(np.int16),
        "node_position": np.concatenate(
            [
                chosen[:, 1],
                np.tile(positions, n_layers),
                positions,
                np.full(n_logits, n_positions - 1),
            ]
        ).astype(np.int32),
        "node_feature": np.concatenate(
            [
                chosen[:, 2],
                np.full(n_errors, -1),
                graph.input_tokens.cpu().numpy(),
                graph.logit_token_ids.numpy(),
            ]
        ).astype(np.int32),
        "node_value": np.concatenate(
            [
                to_numpy(graph.activation_values[graph.selected_features], np.float32),
                np.full(n_errors + n_positions, np.nan),
                to_numpy(graph.logit_probabilities, np.float32),
            ]
        ).astype(np.float32),
    }


def _node_keys(nodes: dict[str, np.ndarray]) -> np.ndarray:
    """One number for (kind, layer, position, feature): a row is another node in every graph."""
    key = nodes["node_kind"].astype(np.int64)
    for name, size in (("layer", 2**9), ("position", 2**20), ("feature", 2**30)):
        key = key * size + nodes[f"node_{name}"] + 1
    return key


def _kept_edges(scores: np.ndarray, default: np.ndarray, limit: int) -> np.ndarray:
    """Which edges to keep, ascending; default ones are never cut."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    shown = np.flatnonzero(default)
    more = limit - len(shown)
    if more <= 0:
        return shown
    # No sort: of millions of edges few are kept, and none below the last that some of them alone would keep.
    some = scores[::_SOME][~default[::_SOME]]
    least = np.partition(some, -more)[-more] if len(some) >= more else -np.inf
    others = np.flatnonzero((scores >= least) & ~default)
    strength = scores[others]
    border = np.partition(strength, -more)[-more]
    above, ties = others[strength > border], others[strength == border]
    return np.sort(np.concatenate([shown, above, ties[: more - len(above)]]))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 1.0
