"""Component data of one or two graphs on one layout: marks, edges, words."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from dashboard.graph.layout import Layout, Mark, place
from dashboard.graph.pruned import Side, said
from dashboard.graph.score_tables import table
from dashboard.style.node_names import PARTS, Words, node_labels
from dashboard.style.score_names import NODE_SCORES
from dashboard.style.text import number, shorten
from dashboard.style.theme import LABEL_COLOURS, LABEL_GLYPHS, NODE_GLYPHS
from pipeline.analysis.node_ids import node_ids

STRONGEST: Final = 5
LONGEST: Final = 14
"""Characters of a token that are written below its column."""
TOKEN: Final = 5.8
"""Height of one of them, pixels: they stand at an angle."""
HEADING: Final = 84
DESCRIPTION: Final = 258
"""Heights of what stands above a graph and below it, pixels, as in the style sheet."""


def strongest(
    edges: pd.DataFrame, labels: Sequence[str]
) -> tuple[dict[int, list[list[Any]]], dict[int, list[list[Any]]]]:
    """Five strongest sources and targets of each node, over all stored edges."""
    order = np.argsort(-np.abs(edges["weight"].to_numpy()), kind="stable")
    sources: dict[int, list[list[Any]]] = {}
    targets: dict[int, list[list[Any]]] = {}
    target_of = edges["target"].to_numpy()[order]
    source_of = edges["source"].to_numpy()[order]
    weights = edges["weight"].to_numpy()[order]
    for near, far, book in ((target_of, source_of, sources), (source_of, target_of, targets)):
        # First five of each node: rank within the node, in order of |weight|.
        by_node = np.argsort(near, kind="stable")
        grouped = near[by_node]
        first = np.r_[True, grouped[1:] != grouped[:-1]] if len(near) else np.zeros(0, dtype=bool)
        starts = np.flatnonzero(first).tolist()
        ends = [*starts[1:], len(near)] if starts else []
        for start, end in zip(starts, ends, strict=True):
            rows = by_node[start : min(end, start + STRONGEST)]
            book[int(grouped[start])] = [
                [labels[far[row]], number(float(weights[row]), sign=True), bool(weights[row] < 0)]
                for row in rows
            ]
    return sources, targets


def radius(size: np.ndarray, is_logit: np.ndarray) -> np.ndarray:
    """Pixels: area proportional to size, within limits that can be seen and hit.

    Logits have no influence on themselves; theirs is a probability, on a scale of its own.
    """
    top = float(np.max(size[~is_logit], initial=0.0)) or 1.0
    share = np.where(is_logit, size, size / top)
    return np.asarray(3.2 + 5.3 * np.sqrt(np.clip(share, 0, 1)))


def _panel(side: Side, other: Side | None, layout: Layout, words: Words, *, alone: str) -> dict[str, Any]:
    """One graph; `alone` is the key in `NODE_GLYPHS` of what is inactive in `other`."""
    nodes = side.nodes
    ids = node_ids(nodes)
    labels = node_labels(nodes, words)
    sources, targets = strongest(side.edges, labels)
    is_logit = (nodes["kind"] == "logit").to_numpy()
    radii = radius(np.where(is_logit, nodes["value"], nodes["influence"]), is_logit)
    drawn = []
    for row in side.kept_nodes:
        node = nodes.iloc[row]
        kind, layer, position, feature = (
            str(node["kind"]),
            int(node["layer"]),
            int(node["position"]),
            int(node["feature"]),
        )
        x, y = layout.places[ids[row]]
        only = kind == "feature" and other is not None and (layer, position, feature) not in other.active
        facts = [f"influence {number(node['influence'])}"]
        shape, colour = NODE_GLYPHS.get(kind), None
        if kind == "feature":
            facts.append(f"activation {number(node['value'])}")
            if only and other is not None:
                facts.append(f"inactive in {other.variant}")
                shape, colour = NODE_GLYPHS[alone], side.colour
        elif kind == "error":
            facts.append("what the transcoder does not reconstruct")
            if side.n_adapters:
                facts.append("its edges without the adapter's part")
        elif kind == "adapter":
            colour = side.colour
            facts.append(PARTS[str(node["part"])])
        elif kind == "logit":
            label = words.label(feature)
            shape, colour = LABEL_GLYPHS[label], LABEL_COLOURS[label]
            facts.append(f"probability {number(node['value'])}")
            facts.append(f"{shape} {label}")
        drawn.append(
            {
                "id": ids[row],
                "x": x,
                "y": y,
                "r": round(float(radii[row]), 2),
                "kind": kind,
                "state": "only" if only else "shared",
                "shape": shape,
                "colour": colour,
                "label": labels[row],
                "facts": ", ".join(facts),
                "scores": table(side.score_names, side.scores[row]),
                "sources": sources.get(int(row), []),
                "targets": targets.get(int(row), []),
            }
        )
    return {
        "title": side.variant,
        "said": said(side),
        "colour": side.colour,
        "nodes": drawn,
        "edges": _edges(side, ids),
    }


def _edges(side: Side, ids: Sequence[str]) -> list[list[Any]]:
    kept = side.edges.iloc[side.kept_edges]
    weights = kept["weight"].to_numpy()
    top = float(np.max(np.abs(weights), initial=0.0)) or 1.0
    return [
        [ids[int(source)], ids[int(target)], round(float(weight), 6), round(width, 2)]
        for source, target, weight, width in zip(
            kept["source"],
            kept["target"],
            weights,
            (0.5 + 3.5 * np.abs(weights) / top).tolist(),
            strict=True,
        )
    ]


def _marks(side: Side) -> list[Mark]:
    ids = node_ids(side.nodes)
    return [
        Mark(
            id=ids[row],
            kind=str(side.nodes["kind"].iat[row]),
            layer=int(side.nodes["layer"].iat[row]),
            position=int(side.nodes["position"].iat[row]),
            rank=float(side.nodes["influence"].iat[row]),
        )
        for row in side.kept_nodes
    ]


def pixels(layout: Layout, words: Words) -> int:
    """Height of the component: the page keeps it free until the graph is drawn.

    Tall enough to tell rows apart, low enough to leave the description in the window.
    """
    longest = max((len(shorten(words.at(i), LONGEST)) for i in range(len(layout.columns))), default=0)
    axes = 34 + longest * TOKEN
    drawn = min(max(270, axes + 11 * layout.height, min(axes + 16 * layout.height, 380)), 680)
    return round(HEADING + drawn + DESCRIPTION)


def frame(layout: Layout, words: Words, panels: list[dict[str, Any]], pins: Sequence[str]) -> dict[str, Any]:
    """Component data of panels on one layout."""
    return {
        "panels": panels,
        "scores": [[name, meaning] for name, meaning in NODE_SCORES.items()],
        "rows": layout.rows,
        "columns": [
            {"x0": x0, "x1": x1, "text": shorten(words.at(i), LONGEST), "full": words.at(i), "position": i}
            for i, (x0, x1) in enumerate(layout.columns)
        ],
        "width": layout.width,
        "height": layout.height,
        "pixels": pixels(layout, words),
        "slot": 7.5,
        "pins": list(pins),
        "hint": (
            "Hover a node to see its five strongest sources and targets; click pins it. "
            "With the keyboard: Tab into a graph, arrow keys move, Enter pins."
        ),
    }


def side_by_side(
    left: Side, right: Side | None, words: Words, *, n_layers: int, pins: Sequence[str]
) -> dict[str, Any]:
    """Component data of two panels on one layout (or one panel alone).

    Parameters
    ----------
    left, right
        The pruned graphs.
    words
        Token texts and labels of the prompt.
    n_layers
        Layers of the model.
    pins
        Ids of pinned nodes.
    """
    marks = _marks(left) + (_marks(right) if right else [])
    layout = place(marks, n_layers=n_layers, n_positions=len(words.tokens))
    panels = [_panel(left, right, layout, words, alone="A only")]
    if right:
        panels.append(_panel(right, left, layout, words, alone="B only"))
    return frame(layout, words, panels, pins)
