"""A stored graph pruned for display."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from dashboard.style.text import count, percent
from pipeline.analysis.error_split import split_edges
from pipeline.analysis.node_scores import TargetContrasts, node_scores
from pipeline.analysis.stored_graph import influence_share, prune_stored
from store.views.graph import GraphView

MAX_NODES: Final = 400
MAX_EDGES: Final = 600
MAX_ADAPTERS: Final = 80
MAX_ADAPTER_EDGES: Final = 160
"""Per panel: two panels stay smooth; the strongest are drawn."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One variant's graph, pruned for display.

    Attributes
    ----------
    variant, colour
        Its name and its colour.
    nodes, edges
        All stored nodes and edges (frames of `store.views.graph.GraphView`); where adapter nodes
        are asked for, they and their edges follow, and error nodes hold only the rest.
    kept_nodes, kept_edges
        Row numbers of those to draw.
    active
        Activation of every feature node active in this variant, stored as a node or not, by
        (layer, position, feature).
    score_names, scores
        Contrasts, and what every node does to them; (node, contrast, score) float64, NaN: none.
    n_nodes, n_edges
        Nodes and edges of the full graph, adapter nodes not counted.
    n_adapters
        Adapter nodes; 0 where they are not asked for.
    share
        Share of influence that the drawn nodes hold.
    exact
        Whether circuit-tracer would keep the same on the full graph.
    n_edges_kept, n_edges_drawn
        Edges that the thresholds keep, and how many of them are drawn: fewer where the cap cuts.
    """

    variant: str
    colour: str
    nodes: pd.DataFrame
    edges: pd.DataFrame
    kept_nodes: np.ndarray
    kept_edges: np.ndarray
    active: Mapping[tuple[int, int, int], float]
    score_names: list[str]
    scores: np.ndarray
    n_nodes: int
    n_edges: int
    n_adapters: int
    share: float
    exact: bool
    n_edges_kept: int
    n_edges_drawn: int


def prune(
    view: GraphView,
    colour: str,
    *,
    node_threshold: float,
    edge_threshold: float,
    adapters: bool = False,
    asked: TargetContrasts | None = None,
) -> Side:
    """Prune a stored graph for display, and cap what is drawn.

    Parameters
    ----------
    view
        The stored graph.
    colour
        Of its variant.
    node_threshold, edge_threshold
        Shares of influence and of edge scores to keep, as in circuit-tracer.
    adapters
        Whether adapter nodes are taken out of the error nodes and shown by themselves: those
        with at least the influence of the least influential node that is drawn.
    asked
        What scores are read on; None: on nothing.

    Raises
    ------
    NotInStoreError
        `adapters`, and the artifact is of a version that knew none.
    """
    shown = prune_stored(view, node_threshold, edge_threshold)
    nodes = view.nodes
    kept = np.flatnonzero(shown.nodes)
    if len(kept) > MAX_NODES:
        always = nodes["kind"].isin(["token", "logit"]).to_numpy()[kept]
        order = np.lexsort((-nodes["influence"].to_numpy()[kept], ~always))
        kept = np.sort(kept[order[:MAX_NODES]])
    drawn = np.zeros(len(nodes), dtype=bool)
    drawn[kept] = True
    edges = split_edges(view) if adapters and len(view.adapters) else view.edges
    stored = np.zeros(len(edges), dtype=bool)
    stored[: len(shown.edges)] = shown.edges
    kept_edges = _drawn_edges(edges, stored, drawn, MAX_EDGES)
    active = view.active
    keys = zip(*(active[name].tolist() for name in ("layer", "position", "feature")), strict=True)
    scores = np.zeros((len(nodes) + len(view.adapters), 0, 0)) if asked is None else node_scores(view, asked)
    side = Side(
        variant=view.variant,
        colour=colour,
        nodes=nodes,
        edges=edges,
        kept_nodes=kept,
        kept_edges=kept_edges,
        active=dict(zip(keys, active["value"].tolist(), strict=True)),
        score_names=[] if asked is None else asked.names,
        scores=scores[: len(nodes)],
        n_nodes=int(view.item.scalars["n_nodes"]),
        n_edges=int(view.item.scalars["n_edges"]),
        n_adapters=0,
        share=influence_share(view, drawn),
        exact=shown.exact,
        n_edges_kept=int(shown.edges.sum()),
        n_edges_drawn=len(kept_edges),
    )
    if not adapters or len(view.adapters) == 0:
        return side
    return replace(_with_adapters(side, view, drawn), scores=scores)


def _drawn_edges(edges: pd.DataFrame, wanted: np.ndarray, drawn: np.ndarray, limit: int) -> np.ndarray:
    """Rows of the strongest wanted edges whose two ends are drawn."""
    rows = np.flatnonzero(wanted & drawn[edges["source"].to_numpy()] & drawn[edges["target"].to_numpy()])
    if len(rows) <= limit:
        return rows
    weight = np.abs(edges["weight"].to_numpy()[rows])
    return np.sort(rows[np.argsort(-weight, kind="stable")[:limit]])


def _with_adapters(side: Side, view: GraphView, drawn: np.ndarray) -> Side:
    """The same with adapter nodes and their edges behind the others; `drawn` masks the nodes."""
    first, n_edges = len(side.nodes), len(side.edges)
    adapters = view.adapters.assign(part=view.adapters["part"].astype(str))
    influence = adapters["influence"].to_numpy()
    inner = drawn & (side.nodes["kind"].isin(["feature", "error"])).to_numpy()
    least = float(side.nodes["influence"].to_numpy()[inner].min(initial=np.inf))
    order = np.argsort(-influence, kind="stable")
    kept = np.sort(order[influence[order] >= least][:MAX_ADAPTERS])
    nodes = pd.concat(
        [
            side.nodes.assign(kind=side.nodes["kind"].astype(str), part=""),
            adapters.rename(columns={"component": "feature"}).assign(kind="adapter", value=np.nan),
        ],
        ignore_index=True,
    )
    fresh = view.adapter_edges.assign(source=view.adapter_edges["source"] + first)
    both = np.concatenate([drawn, np.zeros(len(adapters), dtype=bool)])
    both[first + kept] = True
    rows = _drawn_edges(fresh, np.ones(len(fresh), dtype=bool), both, MAX_ADAPTER_EDGES)
    return replace(
        side,
        nodes=nodes,
        edges=pd.concat([side.edges, fresh], ignore_index=True),
        kept_nodes=np.concatenate([side.kept_nodes, first + kept]),
        kept_edges=np.concatenate([side.kept_edges, n_edges + rows]),
        n_adapters=len(adapters),
    )


def said(side: Side) -> str:
    """What is shown of a graph, and what was cut."""
    adapters = int((side.kept_nodes >= len(side.nodes) - side.n_adapters).sum()) if side.n_adapters else 0
    text = (
        f"showing {count(len(side.kept_nodes) - adapters)} of {count(side.n_nodes)} nodes, "
        f"{percent(side.share)} of the influence; "
        f"{count(side.n_edges_drawn)} of {count(side.n_edges)} edges"
    )
    if side.n_edges_drawn < side.n_edges_kept:
        text += f" (the strongest of {count(side.n_edges_kept)})"
    if side.n_adapters:
        text += f"; {count(adapters)} of {count(side.n_adapters)} adapter nodes"
    if not side.exact:
        text += "; the store holds less than these thresholds ask for"
    return text
