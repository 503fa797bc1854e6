"""Influence, pruning and scores of an attribution graph: numpy, float64, no torch.

The definitions are circuit-tracer's (``circuit_tracer/graph.py``: ``compute_influence``,
``find_threshold``, ``prune_graph``, ``compute_graph_scores``; Ameisen et al. 2025).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.analysis.sparse_graph import SMALLEST_SUM, SparseGraph, propagate
from store.schema.vocabulary import ERROR, FEATURE, TOKEN


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


def node_influence(graph: SparseGraph) -> np.ndarray:
    """Unsigned influence of every node on the probability-weighted logits.

    The row vector w (N + N^2 + ...), with N the normalised adjacency and w the logit
    weights; circuit-tracer's ``compute_node_influence``.

    Returns
    -------
    numpy.ndarray
        (n_nodes,) float64, dimensionless; 0 for logit nodes.
    """
    return propagate(graph)


def edge_scores(graph: SparseGraph, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the graph restricted to some nodes, and the score of each.

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
    edges, scores
        Which of the graph's edges, ascending, int32, and (n_inside,) float64, dimensionless.
    """
    kept, inside = graph.among(nodes)
    output = propagate(kept) + graph.logit_weight
    return inside, kept.share(slice(0, kept.n_nodes), np.empty(len(inside)), output)


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
    share[order] = np.cumsum(influence[order]) / max(float(influence.sum()), SMALLEST_SUM)
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
    inside, scores = edge_scores(graph, nodes)
    left = inside[(scores >= find_threshold(scores[scores > 0], edge_threshold)) & (scores > 0)]
    target, source = graph.target(left), graph.source[left]
    keep = nodes.copy()
    inner = graph.kind < TOKEN
    features = graph.kind == FEATURE
    while True:
        leads, led_to = np.zeros((2, graph.n_nodes), bool)
        leads[source] = led_to[target] = True
        lost = keep & ((inner & ~leads) | (features & ~led_to))
        if not lost.any():
            break
        keep &= ~lost
        stay = keep[source] & keep[target]
        left, target, source = left[stay], target[stay], source[stay]
    edges = np.zeros(len(graph.weight), bool)
    edges[left] = True
    return Pruned(nodes=keep, edges=edges)


def prune_graph(graph: SparseGraph, *, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Pruned:
    """Prune a whole graph as circuit-tracer's ``prune_graph`` does, sums in float64."""
    _check_share("node_threshold", node_threshold)
    nodes = influential(graph, node_influence(graph), node_threshold)
    return prune(graph, nodes=nodes, edge_threshold=edge_threshold)


def graph_scores(
    graph: SparseGraph, pinned: np.ndarray | None = None, *, influence: np.ndarray | None = None
) -> tuple[float, float]:
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
    influence
        `node_influence` of the graph, where that is there and every feature counts.

    Returns
    -------
    tuple of float
        Token influence / (token + error influence), and the influence-weighted share of
        inputs that are no errors; both 0 to 1, NaN where there is no influence at all.
    """
    unexplained = graph.kind == ERROR
    if pinned is not None:
        unexplained |= (graph.kind == FEATURE) & ~pinned
    if influence is None:
        influence = propagate(graph, unexplained)
    token = influence[graph.kind == TOKEN].sum()
    error = influence[unexplained].sum()
    output = influence + graph.logit_weight
    missing = np.zeros(graph.n_nodes)
    for of, edges in graph.blocks(slice(0, graph.n_nodes)):
        share = graph.share(of, np.empty(edges.stop - edges.start))
        missing[of] = graph.rows(of, share) @ unexplained
    missing[unexplained] = 0.0
    replacement = token / (token + error) if token + error > 0 else np.nan
    total = output.sum()
    completeness = ((1 - missing) * output).sum() / total if total > 0 else np.nan
    return float(replacement), float(completeness)


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value}; it must be between 0 and 1.")
