"""Influence, pruning and scores of an attribution graph: numpy, float64, one pass, no torch.

The definitions are circuit-tracer's (``circuit_tracer/graph.py``: ``compute_influence``,
``find_threshold``, ``prune_graph``, ``compute_graph_scores``; Ameisen et al. 2025). An edge
always leads to a higher level (layer), so the series A + A^2 + ... ends, and one sweep down
the levels gives its exact sum; circuit-tracer iterates until float32 reaches zero.

Works on any list of edges: a whole graph, or the part of it that an artifact keeps.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

FEATURE, ERROR, TOKEN, LOGIT = range(4)
"""Codes of ``node_kind``, as in `store.schema.registry.NODE_KINDS`."""

_SMALLEST_ROW: Final = 1e-10
"""Rows whose absolute sum is smaller are not scaled up; circuit-tracer's ``clamp``."""


@dataclass(frozen=True, kw_only=True)
class SparseGraph:
    """Nodes and non-zero edges of an attribution graph.

    Attributes
    ----------
    target, source
        Rows into the node arrays, one an edge; (n_edges,), integer.
    weight
        A[target, source]; (n_edges,), any float.
    kind
        Node kinds, codes as in ``node_kind``; (n_nodes,).
    level
        Layer of each node: tokens -1, features and errors theirs, logits n_layers;
        (n_nodes,). An edge's source has a lower level than its target.
    logit_weight
        Probability of logit nodes, 0 elsewhere; (n_nodes,).
    """

    target: np.ndarray
    source: np.ndarray
    weight: np.ndarray
    kind: np.ndarray
    level: np.ndarray
    logit_weight: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.kind)


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What pruning keeps.

    Attributes
    ----------
    nodes
        (n_nodes,) bool.
    edges
        (n_edges,) bool, in the order of the graph's edges.
    """

    nodes: np.ndarray
    edges: np.ndarray


def from_dense(
    adjacency: np.ndarray, *, kind: np.ndarray, level: np.ndarray, logit_weight: np.ndarray
) -> SparseGraph:
    """Make a `SparseGraph` of a dense adjacency A[target, source], (n_nodes, n_nodes)."""
    target, source = np.nonzero(adjacency)
    return SparseGraph(
        target=target,
        source=source,
        weight=adjacency[target, source],
        kind=kind,
        level=level,
        logit_weight=logit_weight,
    )


def normalised(graph: SparseGraph) -> np.ndarray:
    """Share of each edge in its target's input: |A[t, s]| / sum over s of |A[t, s]|.

    Returns
    -------
    numpy.ndarray
        (n_edges,) float64, dimensionless.

    Raises
    ------
    ValueError
        A weight is not finite, or an edge does not lead to a higher level.
    """
    size = np.abs(graph.weight.astype(np.float64))
    if not np.isfinite(size).all():
        bad = int(np.flatnonzero(~np.isfinite(size))[0])
        raise ValueError(
            f"edge from node {graph.source[bad]} to node {graph.target[bad]} "
            f"is {graph.weight[bad]}, not finite."
        )
    upward = graph.level[graph.source] < graph.level[graph.target]
    if not upward.all():
        bad = int(np.flatnonzero(~upward)[0])
        raise ValueError(
            f"edge from node {graph.source[bad]} (level {graph.level[graph.source[bad]]}) to node "
            f"{graph.target[bad]} (level {graph.level[graph.target[bad]]}) does not lead upward."
        )
    total = np.bincount(graph.target, weights=size, minlength=graph.n_nodes)
    share: np.ndarray = size / np.maximum(total, _SMALLEST_ROW)[graph.target]
    return share


def node_influence(graph: SparseGraph) -> np.ndarray:
    """Unsigned influence of every node on the probability-weighted logits.

    The row vector w (N + N^2 + ...), with N the normalised adjacency and w the logit
    weights; circuit-tracer's ``compute_node_influence``.

    Returns
    -------
    numpy.ndarray
        (n_nodes,) float64, dimensionless; 0 for logit nodes.
    """
    return _propagate(graph, normalised(graph))


def edge_scores(graph: SparseGraph, nodes: np.ndarray) -> np.ndarray:
    """Score of each edge in the graph restricted to some nodes.

    The edge's share in its target's input from kept nodes, times the target's influence in
    the restricted graph (plus its weight, where it is a logit); circuit-tracer's
    ``compute_edge_influence``.

    Parameters
    ----------
    graph
        The graph.
    nodes
        (n_nodes,) bool, the kept nodes.

    Returns
    -------
    numpy.ndarray
        (n_edges,) float64, dimensionless; 0 for edges of other nodes.
    """
    inside = nodes[graph.target] & nodes[graph.source]
    kept = SparseGraph(
        target=graph.target[inside],
        source=graph.source[inside],
        weight=graph.weight[inside],
        kind=graph.kind,
        level=graph.level,
        logit_weight=graph.logit_weight,
    )
    share = normalised(kept)
    output = _propagate(kept, share) + graph.logit_weight
    scores = np.zeros(len(graph.weight))
    scores[inside] = share * output[kept.target]
    return scores


def find_threshold(scores: np.ndarray, threshold: float) -> float:
    """Smallest score among the largest that together hold a share of the sum.

    circuit-tracer's ``find_threshold`` in float64. Zero scores that a sparse graph leaves
    out change nothing, unless rounding keeps the sum from reaching the share: then the
    smallest score given here is returned.

    Parameters
    ----------
    scores
        (n,) scores, none negative.
    threshold
        Share of the sum, 0 to 1.
    """
    if len(scores) == 0:
        return 0.0
    ordered = np.sort(scores.astype(np.float64))[::-1]
    total = ordered.sum()
    if total == 0.0:
        return 0.0
    position = int(np.searchsorted(np.cumsum(ordered) / total, threshold))
    return float(ordered[min(position, len(ordered) - 1)])


def cumulative_share(influence: np.ndarray) -> np.ndarray:
    """Share of the total that each node and the more influential ones hold together.

    Ties are taken in node order. (n_nodes,) float64.
    """
    order = np.argsort(-influence, kind="stable")
    share = np.empty(len(influence))
    share[order] = np.cumsum(influence[order]) / max(float(influence.sum()), _SMALLEST_ROW)
    return share


def influential(graph: SparseGraph, influence: np.ndarray, threshold: float) -> np.ndarray:
    """Nodes that hold a share of all influence; tokens and logits always. (n_nodes,) bool."""
    mask: np.ndarray = influence >= find_threshold(influence, threshold)
    return mask | (graph.kind >= TOKEN)


def prune(graph: SparseGraph, *, nodes: np.ndarray, edge_threshold: float) -> Pruned:
    """Prune edges among some nodes, then nodes left without edges.

    The second half of circuit-tracer's ``prune_graph``: edges by their share of all edge
    scores; then, again and again, features and errors that lead nowhere and features
    that nothing leads to. Edges with a score of zero are never kept.

    Parameters
    ----------
    graph
        The graph.
    nodes
        (n_nodes,) bool: nodes to start with, as `influential` gives them.
    edge_threshold
        Share of the sum of edge scores to keep, 0 to 1.
    """
    _check_share("edge_threshold", edge_threshold)
    scores = edge_scores(graph, nodes)
    edges = (scores >= find_threshold(scores[scores > 0], edge_threshold)) & (scores > 0)
    keep = nodes.copy()
    inner = graph.kind < TOKEN
    features = graph.kind == FEATURE
    while True:
        leads = np.bincount(graph.source[edges], minlength=graph.n_nodes) > 0
        led_to = np.bincount(graph.target[edges], minlength=graph.n_nodes) > 0
        lost = keep & ((inner & ~leads) | (features & ~led_to))
        if not lost.any():
            return Pruned(nodes=keep, edges=edges)
        keep &= ~lost
        edges &= keep[graph.source] & keep[graph.target]


def prune_graph(graph: SparseGraph, *, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
    """Prune a whole graph as circuit-tracer's ``prune_graph`` does, sums in float64."""
    _check_share("node_threshold", node_threshold)
    nodes = influential(graph, node_influence(graph), node_threshold)
    return prune(graph, nodes=nodes, edge_threshold=edge_threshold)


def graph_scores(graph: SparseGraph, pinned: np.ndarray | None = None) -> tuple[float, float]:
    """Replacement and completeness score of a graph, or of chosen features in it.

    circuit-tracer's ``compute_graph_scores``. With `pinned`, features that are not pinned
    count as errors: influence that reaches them goes no further, and their share in an
    input is unexplained. Shares of inputs stay those of the whole graph.

    Parameters
    ----------
    graph
        The graph.
    pinned
        (n_nodes,) bool; None: every feature.

    Returns
    -------
    tuple of float
        Token influence / (token + error influence), and the influence-weighted share of
        inputs that are no errors; both 0 to 1, NaN where there is no influence at all.
    """
    share = normalised(graph)
    unexplained = graph.kind == ERROR
    if pinned is not None:
        unexplained |= (graph.kind == FEATURE) & ~pinned
        share = np.where(unexplained[graph.target], 0.0, share)
    influence = _propagate(graph, share)
    token = influence[graph.kind == TOKEN].sum()
    error = influence[unexplained].sum()
    output = influence + graph.logit_weight
    missing = np.bincount(graph.target, weights=share * unexplained[graph.source], minlength=graph.n_nodes)
    replacement = token / (token + error) if token + error > 0 else np.nan
    total = output.sum()
    completeness = ((1 - missing) * output).sum() / total if total > 0 else np.nan
    return float(replacement), float(completeness)


def _propagate(graph: SparseGraph, share: np.ndarray) -> np.ndarray:
    """Sum w N + w N^2 + ... with N[target, source] = share; exact in one pass."""
    reached = graph.logit_weight.astype(np.float64)
    edge_level = graph.level[graph.target]
    order = np.argsort(-edge_level, kind="stable")
    _, starts = np.unique(-edge_level[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        rows = order[start:end]
        # Levels above are done, so what has reached these targets is final.
        passed = reached[graph.target[rows]] * share[rows]
        reached += np.bincount(graph.source[rows], weights=passed, minlength=graph.n_nodes)
    influence: np.ndarray = reached - graph.logit_weight
    return influence


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value}; it must be between 0 and 1.")
