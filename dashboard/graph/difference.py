"""Component data of the difference of two graphs: the union, each node by its change."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from dashboard.graph.layout import Mark, place
from dashboard.graph.panels import frame, radius, strongest
from dashboard.graph.pruned import MAX_EDGES, MAX_NODES, Side
from dashboard.graph.score_tables import change_table
from dashboard.style.node_names import PARTS, Words, node_labels
from dashboard.style.text import count, number, percent
from dashboard.style.theme import LABEL_COLOURS, LABEL_GLYPHS, NEUTRAL, NODE_GLYPHS
from pipeline.analysis.difference import SIDES, edge_changes, node_changes, score_changes
from pipeline.analysis.null_changes import NullChanges

BELOW: Final = "below what the store keeps"
"""Influence of a node that is there, but has too little for the artifact to hold it."""


RARE: Final = 0.01
"""A change is told from those of random adapters where no more of theirs are as large."""


def difference(
    left: Side,
    right: Side,
    words: Words,
    *,
    n_layers: int,
    pins: Sequence[str],
    nulls: NullChanges | None = None,
) -> dict[str, Any]:
    """Component data of one panel: the union of both, coloured by the variants a node is active in.

    Features say what share of random adapters' changes is as large, where `nulls` are known.
    """
    both = node_changes(left, right)
    kept = both[both["row_left"].isin(left.kept_nodes) | both["row_right"].isin(right.kept_nodes)]
    kept = kept.iloc[np.argsort(-np.abs(kept["change"].to_numpy()), kind="stable")][:MAX_NODES]
    marks = [
        Mark(
            id=str(name),
            kind=str(node["kind"]),
            layer=int(node["layer"]),
            position=int(node["position"]),
            rank=abs(float(node["change"])),
        )
        for name, node in kept.iterrows()
    ]
    layout = place(marks, n_layers=n_layers, n_positions=len(words.tokens))
    radii = radius(np.abs(kept["change"].to_numpy()), (kept["kind"] == "logit").to_numpy())
    edges = edge_changes(both, left, right)
    inside = both.index.isin(kept.index)
    kept_edge = edges["row_left"].isin(left.kept_edges) | edges["row_right"].isin(right.kept_edges)
    is_drawn = kept_edge & inside[edges["source"].to_numpy()] & inside[edges["target"].to_numpy()]
    before, after = score_changes(both, left.scores, right.scores)
    labels = dict(zip([str(name) for name in both.index], node_labels(both, words), strict=True))
    sources, targets = strongest(edges, list(labels.values()))
    order = {name: row for row, name in enumerate(labels)}
    drawn = []
    for (name, node), pixels in zip(kept.iterrows(), radii, strict=True):
        row = order[str(name)]
        drawn.append(
            {
                "id": str(name),
                "x": layout.places[str(name)][0],
                "y": layout.places[str(name)][1],
                "r": round(float(pixels), 2),
                "kind": str(node["kind"]),
                **_look(node, left, right, words),
                "label": labels[str(name)],
                "facts": ", ".join(_facts(node, left, right, nulls)),
                "scores": change_table(right.score_names, before[row], after[row]),
                "sources": sources.get(row, []),
                "targets": targets.get(row, []),
            }
        )
    shown = edges[is_drawn].head(MAX_EDGES)
    top = float(shown["weight"].abs().max()) if len(shown) else 1.0
    names = list(labels)
    panel = {
        "title": f"{right.variant} minus {left.variant}",
        "said": (
            f"showing {count(len(drawn))} of {count(len(both))} stored nodes and {count(len(shown))} of "
            f"{count(len(edges))} stored edges: those that change most (at most {MAX_EDGES} edges are drawn)"
            + _beyond(both, edges if left.n_adapters + right.n_adapters == 0 else None, nulls)
        ),
        "colour": NEUTRAL,
        "nodes": drawn,
        "edges": [
            [names[s], names[t], round(float(w), 6), round(0.5 + 3.5 * abs(float(w)) / (top or 1.0), 2)]
            for s, t, w in zip(shown["source"], shown["target"], shown["weight"], strict=True)
        ],
    }
    return frame(layout, words, [panel], pins)


def _look(node: "pd.Series[Any]", left: Side, right: Side, words: Words) -> dict[str, Any]:
    """How a node is drawn: colour and shape say which variants it is active in.

    Pruning says nothing of that: what a side does not draw or store may be active there.
    """
    kind = str(node["kind"])
    state, shape, colour = "shared", NODE_GLYPHS.get(kind), None
    match kind:
        case "feature" if node["presence"] == "right":
            state, shape, colour = "only", NODE_GLYPHS["B only"], right.colour
        case "feature" if node["presence"] == "left":
            state, shape, colour = "only", NODE_GLYPHS["A only"], left.colour
        case "adapter":
            state, colour = "only", left.colour if node["presence"] == "left" else right.colour
        case "logit":
            label = words.label(int(node["feature"]))
            shape, colour = LABEL_GLYPHS[label], LABEL_COLOURS[label]
    return {"state": state, "shape": shape, "colour": colour}


def _beyond(nodes: pd.DataFrame, edges: pd.DataFrame | None, nulls: NullChanges | None) -> str:
    """How many of all stored features and edges change more than nearly all of random adapters' do.

    Edges are not counted where they are those of adapter nodes, too, which random adapters' are without.
    """
    if nulls is None:
        return ""
    counted = [("features", "influence", nodes.loc[nodes["kind"] == "feature", "change"].to_numpy())]
    if edges is not None:
        counted.append(("edges", "edge", edges["weight"].to_numpy()))
    words = []
    for what, quantity, changes in counted:
        reached = int((np.abs(changes) >= nulls.size_at(quantity, RARE)).sum())
        words.append(
            f"{count(reached)} of {count(len(changes))} {what} ({percent(reached / max(1, len(changes)))})"
        )
    return (
        f"; of all that is stored, {' and '.join(words)} change more than {percent(1 - RARE)} of random "
        "adapters' changes"
    )


def _facts(node: "pd.Series[Any]", left: Side, right: Side, nulls: NullChanges | None = None) -> list[str]:
    """What changes of a node, in words: probability of a logit, influence of the others."""
    kind = str(node["kind"])
    what, unknown = ("probability", "not traced") if kind == "logit" else ("influence", BELOW)
    sizes = [float(node[f"size_{where}"]) for where in SIDES]
    # What is inactive has none, exactly; what is not stored has some.
    written = [number(size) if np.isfinite(size) else unknown for size in sizes]
    fact = f"{what} {written[0]} → {written[1]}"
    change = sizes[1] - sizes[0]
    if np.isfinite(change):
        fact += f" ({number(change, sign=True)})"
    facts = [fact]
    if kind == "adapter":
        facts.append(PARTS[str(node["part"])])
    if kind == "feature":
        before, after = (float(node[f"activation_{where}"]) for where in SIDES)
        facts.append(f"activation {number(before)} → {number(after)}")
        if nulls is not None:
            shares = (
                nulls.as_large("influence", float(node["change"])),
                nulls.as_large("activation", after - before),
            )
            facts.append(
                "as large with random adapters: "
                + " and ".join(percent(share) if np.isfinite(share) else "unknown" for share in shares)
                + " of influence and activation changes"
            )
        if node["presence"] != "shared":
            facts.append(f"inactive in {left.variant if node['presence'] == 'right' else right.variant}")
    return facts
