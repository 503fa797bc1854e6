"""A stored graph pruned for display, and its nodes in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from dashboard.text import count, feature_name, percent, visible
from store.graphs import GraphView

MAX_NODES: Final = 400
MAX_EDGES: Final = 600
"""Per panel: two panels stay within 2,000 marks."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One variant's graph, pruned for display.

    Attributes
    ----------
    variant, colour
        Its name and its colour.
    nodes, edges
        All stored nodes and edges (frames of `store.graphs.GraphView`).
    kept_nodes, kept_edges
        Row numbers of those to draw.
    active
        Activation of every feature node active in this variant, stored as a node or not, by
        (layer, position, feature).
    n_nodes, n_edges
        Nodes and edges of the full graph.
    share
        Share of influence that the drawn nodes hold.
    exact
        Whether circuit-tracer would keep the same on the full graph.
    n_edges_kept
        Edges that the thresholds keep; more than are drawn where the cap cuts.
    """

    variant: str
    colour: str
    nodes: pd.DataFrame
    edges: pd.DataFrame
    kept_nodes: np.ndarray
    kept_edges: np.ndarray
    active: Mapping[tuple[int, int, int], float]
    n_nodes: int
    n_edges: int
    share: float
    exact: bool
    n_edges_kept: int


def prune(view: GraphView, colour: str, *, node_threshold: float, edge_threshold: float) -> Side:
    """Prune a stored graph for display, and cap what is drawn.

    Parameters
    ----------
    view
        The stored graph.
    colour
        Of its variant.
    node_threshold, edge_threshold
        Shares of influence and of edge scores to keep, as in circuit-tracer.
    """
    shown = view.view(node_threshold, edge_threshold)
    nodes, edges = view.nodes, view.edges
    kept = np.flatnonzero(shown.nodes)
    if len(kept) > MAX_NODES:
        always = nodes["kind"].isin(["token", "logit"]).to_numpy()[kept]
        order = np.lexsort((-nodes["influence"].to_numpy()[kept], ~always))
        kept = np.sort(kept[order[:MAX_NODES]])
    drawn = np.zeros(len(nodes), dtype=bool)
    drawn[kept] = True
    kept_edges = np.flatnonzero(
        shown.edges & drawn[edges["source"].to_numpy()] & drawn[edges["target"].to_numpy()]
    )
    n_edges_kept = int(shown.edges.sum())
    if len(kept_edges) > MAX_EDGES:
        weight = np.abs(edges["weight"].to_numpy()[kept_edges])
        kept_edges = np.sort(kept_edges[np.argsort(-weight, kind="stable")[:MAX_EDGES]])
    active = view.active
    return Side(
        variant=view.variant,
        colour=colour,
        nodes=nodes,
        edges=edges,
        kept_nodes=kept,
        kept_edges=kept_edges,
        active=dict(
            zip(
                zip(
                    active["layer"].tolist(),
                    active["position"].tolist(),
                    active["feature"].tolist(),
                    strict=True,
                ),
                active["value"].tolist(),
                strict=True,
            )
        ),
        n_nodes=int(view.item.scalars["n_nodes"]),
        n_edges=int(view.item.scalars["n_edges"]),
        share=view.share(drawn),
        exact=shown.exact,
        n_edges_kept=n_edges_kept,
    )


@dataclass(frozen=True, kw_only=True)
class Words:
    """What is needed to write nodes in words: token texts and labels."""

    tokens: Sequence[str]
    vocabulary: Sequence[str]
    labels: Mapping[int, str]

    def at(self, position: int) -> str:
        """The prompt's token at a position, white space visible."""
        return visible(self.tokens[position]) if 0 <= position < len(self.tokens) else "?"

    def of(self, token: int) -> str:
        """A token id's text, white space visible."""
        return visible(self.vocabulary[token]) if 0 <= token < len(self.vocabulary) else f"#{token}"


def node_ids(nodes: pd.DataFrame) -> list[str]:
    """Id of every node, the same in every graph of the prompt (never a row number)."""
    letters = {"feature": "F", "error": "E", "token": "T", "logit": "O"}
    out = []
    for kind, layer, position, feature in zip(
        nodes["kind"], nodes["layer"], nodes["position"], nodes["feature"], strict=True
    ):
        letter = letters[str(kind)]
        if letter == "F":
            out.append(f"F{layer}.{feature}.{position}")
        elif letter == "E":
            out.append(f"E{layer}.{position}")
        else:
            out.append(f"{letter}{feature}.{position}")
    return out


def node_label(kind: str, layer: int, position: int, feature: int, words: Words) -> str:
    """A node in words."""
    match kind:
        case "feature":
            return f"{feature_name(layer, feature)} at {words.at(position)} ({position})"
        case "error":
            return f"error L{layer} at {words.at(position)} ({position})"
        case "token":
            return f"token {words.at(position)} ({position})"
    return f"logit {words.of(feature)}"


def said(side: Side) -> str:
    """What is shown of a graph, and what was cut."""
    text = (
        f"showing {count(len(side.kept_nodes))} of {count(side.n_nodes)} nodes, "
        f"{percent(side.share)} of the influence; "
        f"{count(len(side.kept_edges))} of {count(side.n_edges)} edges"
    )
    if len(side.kept_edges) < side.n_edges_kept:
        text += f" (the strongest of {count(side.n_edges_kept)})"
    if not side.exact:
        text += "; the store holds less than these thresholds ask for"
    return text
