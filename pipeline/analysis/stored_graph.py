"""Pruning and scores of the part of a graph that an artifact holds, as of the full graph."""

from dataclasses import dataclass

import numpy as np

from pipeline.analysis.pruning import Pruned, graph_scores, prune
from pipeline.analysis.sparse_graph import SparseGraph, from_edges
from store.schema.vocabulary import LOGIT, TOKEN
from store.views.graph import GraphView


@dataclass(frozen=True, kw_only=True)
class Shown(Pruned):
    """What a graph shows at two thresholds; masks over its stored nodes and edges.

    Attributes
    ----------
    share
        Influence of the shown nodes / of all nodes of the full graph.
    exact
        Whether circuit-tracer would keep the same on the full graph: True where the
        artifact holds all nodes and edges that the thresholds ask for.
    """

    share: float
    exact: bool


def sparse_graph(view: GraphView) -> SparseGraph:
    """The stored nodes and edges, for `pipeline.analysis.pruning`."""
    arrays = view.item.arrays
    kind = arrays["node_kind"]
    value = arrays["node_value"].astype(np.float64)
    return from_edges(
        target=arrays["edge_target"],
        source=arrays["edge_source"],
        weight=arrays["edge_weight"],
        kind=kind,
        level=arrays["node_layer"],
        logit_weight=np.where(kind == LOGIT, value, 0.0),
    )


def prune_stored(view: GraphView, node_threshold: float = 0.8, edge_threshold: float = 0.98) -> Shown:
    """Prune the stored part of a graph, as circuit-tracer prunes the full one.

    Parameters
    ----------
    view
        The stored graph.
    node_threshold
        Share of all influence that the shown nodes hold.
    edge_threshold
        Share of the edge scores among them that the shown edges hold.

    Raises
    ------
    ValueError
        A threshold is not between 0 and 1.
    """
    if not 0.0 <= node_threshold <= 1.0:
        raise ValueError(f"node_threshold is {node_threshold}; it must be between 0 and 1.")
    graph = sparse_graph(view)
    influence = view.item.arrays["node_influence"]
    cumulative = view.item.arrays["node_cumulative"]
    # The least influential node that is needed to reach the share; ties stay with it.
    reaching = (cumulative >= node_threshold) & (influence > 0)
    least = influence[reaching].max() if reaching.any() else 0.0
    nodes = (influence >= least) | (graph.kind >= TOKEN)
    pruned = prune(graph, nodes=nodes, edge_threshold=edge_threshold)
    return Shown(
        nodes=pruned.nodes,
        edges=pruned.edges,
        share=influence_share(view, pruned.nodes),
        exact=bool(reaching.any()) and view.item.scalars["kept_edge_score"] == 1.0,
    )


def default_pruning(view: GraphView) -> Pruned:
    """What circuit-tracer keeps at the artifact's thresholds, as stored."""
    return Pruned(nodes=view.item.arrays["node_default"], edges=view.item.arrays["edge_default"])


def influence_share(view: GraphView, nodes: np.ndarray) -> float:
    """Influence of some stored nodes / of all nodes of the full graph.

    Parameters
    ----------
    view
        The stored graph.
    nodes
        Mask over its nodes; (n_nodes,) bool.
    """
    influence = view.item.arrays["node_influence"]
    stored = float(influence.sum())
    kept = float(view.item.scalars["kept_node_influence"])
    return float(influence[nodes].sum()) / stored * kept if stored > 0 else 0.0


def stored_scores(view: GraphView, pinned: np.ndarray | None = None) -> tuple[float, float]:
    """Replacement and completeness score of the stored part, or of pinned features.

    Features that are not pinned count as errors; see `pipeline.analysis.pruning.graph_scores`.
    Inputs that the artifact does not hold are not counted.

    Parameters
    ----------
    view
        The stored graph.
    pinned
        Mask over its nodes, (n_nodes,) bool; None: every stored feature.
    """
    return graph_scores(sparse_graph(view), pinned)
