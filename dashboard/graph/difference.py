"""Component data of the difference of two graphs: the union, each node by its change."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from dashboard.graph.layout import Mark, place
from dashboard.graph.panels import SHAPES, frame, radius, strongest
from dashboard.graph.pruned import MAX_EDGES, MAX_NODES, Side
from dashboard.graph.score_tables import change_table
from dashboard.style.node_names import PARTS, Words, node_ids, node_labels
from dashboard.style.text import count, number
from dashboard.style.theme import LABEL_COLOURS, NEUTRAL

BELOW: Final = "below what the store keeps"
"""Influence of a node that is there, but has too little for the artifact to hold it."""


def difference_frame(left: Side, right: Side) -> pd.DataFrame:
    """Nodes of both graphs by id, with influence and value on each side.

    Returns
    -------
    pd.DataFrame
        Index id; columns kind, layer, position, feature, part, row_left, row_right (row in that
        side's nodes; NaN: it stores none), influence_left, influence_right,
        value_left, value_right, change (right minus left influence, probability for logits; what
        a side does not store counts as 0, its least), kept (drawn on either side).
    """
    frames = []
    for side in (left, right):
        frame = side.nodes.assign(
            id=node_ids(side.nodes),
            kind=side.nodes["kind"].astype(str),
            kept=False,
            row=np.arange(len(side.nodes)),
        )
        if "part" not in frame:
            frame["part"] = ""
        frame.loc[frame.index[side.kept_nodes], "kept"] = True
        frames.append(frame.set_index("id"))
    both = frames[0].merge(
        frames[1], how="outer", left_index=True, right_index=True, suffixes=("_left", "_right")
    )
    for name in ("kind", "layer", "position", "feature", "part"):
        both[name] = both[f"{name}_left"].where(both[f"{name}_left"].notna(), both[f"{name}_right"])
    for where in ("left", "right"):
        # Logits have no influence on themselves: their size is their probability.
        size = both[f"influence_{where}"].where(both["kind"] != "logit", both[f"value_{where}"])
        both[f"size_{where}"] = size.fillna(0.0)
    both["change"] = both["size_right"] - both["size_left"]
    both["kept"] = both["kept_left"].eq(True) | both["kept_right"].eq(True)
    both = both.astype({"layer": int, "position": int, "feature": int})
    columns = ["kind", "layer", "position", "feature", "part", "row_left", "row_right"]
    return both[
        [*columns, "influence_left", "influence_right", "value_left", "value_right", "change", "kept"]
    ]


def difference(
    left: Side, right: Side, words: Words, *, n_layers: int, pins: Sequence[str]
) -> dict[str, Any]:
    """Component data of one panel: the union of both, coloured by the variants a node is active in."""
    both = difference_frame(left, right)
    kept = both[both["kept"]]
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
    edges = _edge_changes(both, left, right, {str(name) for name in kept.index})
    labels = dict(zip([str(name) for name in both.index], node_labels(both, words), strict=True))
    sources, targets = strongest(edges, list(labels.values()))
    order = {name: row for row, name in enumerate(labels)}
    drawn = []
    for (name, node), pixels in zip(kept.iterrows(), radii, strict=True):
        key = (int(node["layer"]), int(node["position"]), int(node["feature"]))
        drawn.append(
            {
                "id": str(name),
                "x": layout.places[str(name)][0],
                "y": layout.places[str(name)][1],
                "r": round(float(pixels), 2),
                "kind": str(node["kind"]),
                **_look(node, key, left, right, words),
                "label": labels[str(name)],
                "facts": ", ".join(_facts(node, key, left, right)),
                "scores": _scores(node, key, left, right),
                "sources": sources.get(order[str(name)], []),
                "targets": targets.get(order[str(name)], []),
            }
        )
    shown = edges[edges["drawn"]].head(MAX_EDGES)
    top = float(shown["weight"].abs().max()) if len(shown) else 1.0
    names = list(labels)
    panel = {
        "title": f"{right.variant} minus {left.variant}",
        "said": (
            f"showing {count(len(drawn))} of {count(len(both))} stored nodes and {count(len(shown))} of "
            f"{count(len(edges))} stored edges: those that change most (at most {MAX_EDGES} edges are drawn)"
        ),
        "colour": NEUTRAL,
        "nodes": drawn,
        "edges": [
            [names[s], names[t], round(float(w), 6), round(0.5 + 3.5 * abs(float(w)) / (top or 1.0), 2)]
            for s, t, w in zip(shown["source"], shown["target"], shown["weight"], strict=True)
        ],
    }
    return frame(layout, words, [panel], pins)


def _look(
    node: "pd.Series[Any]", key: tuple[int, int, int], left: Side, right: Side, words: Words
) -> dict[str, Any]:
    """How a node is drawn: colour and shape say which variants it is active in.

    Pruning says nothing of that: what a side does not draw or store may be active there.
    """
    colour: str | None = None
    state, shape = "shared", "circle"
    match str(node["kind"]):
        case "feature" if key not in left.active:
            state, shape, colour = "only", "triangle", right.colour
        case "feature" if key not in right.active:
            state, shape, colour = "only", "square", left.colour
        case "error":
            shape = "diamond"
        case "token":
            shape = "bar"
        case "adapter":
            state, shape = "only", "hexagon"
            colour = right.colour if np.isfinite(node["row_right"]) else left.colour
        case "logit":
            label = words.labels.get(key[2], "unlabelled")
            shape, colour = SHAPES[label], LABEL_COLOURS[label]
    return {"state": state, "shape": shape, "colour": colour}


def _scores(node: "pd.Series[Any]", key: tuple[int, int, int], left: Side, right: Side) -> list[list[str]]:
    """Scores on both sides: exactly 0 where it is inactive, unknown where it is not stored."""
    sides = []
    for side, where in ((left, "left"), (right, "right")):
        if np.isfinite(node[f"row_{where}"]):
            sides.append(side.scores[int(node[f"row_{where}"])].copy())
            continue
        gone = node["kind"] == "adapter" or (node["kind"] == "feature" and key not in side.active)
        sides.append(np.full(side.scores.shape[1:], 0.0 if gone else np.nan))
    if node["kind"] == "adapter":
        # Adapter nodes have one score; what is 0 on the side without the adapter has no other, either.
        for side_scores in sides:
            side_scores[:, 1:] = np.nan
    return change_table(right.score_names, sides[0], sides[1])


def _facts(node: "pd.Series[Any]", key: tuple[int, int, int], left: Side, right: Side) -> list[str]:
    """What changes of a node, in words: probability of a logit, influence of the others."""
    what, column = ("probability", "value") if node["kind"] == "logit" else ("influence", "influence")
    values = [float(node[f"{column}_left"]), float(node[f"{column}_right"])]
    written = [number(value) for value in values]
    inactive = [node["kind"] == "feature" and key not in side.active for side in (left, right)]
    without = [node["kind"] == "adapter" and not np.isfinite(node[f"row_{w}"]) for w in ("left", "right")]
    for index in (0, 1):
        if np.isfinite(values[index]):
            continue
        if inactive[index] or without[index]:
            values[index], written[index] = 0.0, "0"  # exactly: what is inactive there has none
        else:
            written[index] = "not traced" if what == "probability" else BELOW
    change = values[1] - values[0]
    facts = [f"{what} {written[0]} → {written[1]}"]
    if np.isfinite(change):
        facts[0] += f" ({number(change, sign=True)})"
    if node["kind"] == "adapter":
        facts.append(PARTS[str(node["part"])])
    if node["kind"] == "feature":
        before, after = (number(side.active.get(key, 0.0)) for side in (left, right))
        facts.append(f"activation {before} → {after}")
    facts.extend(
        f"inactive in {side.variant}" for side, off in zip((left, right), inactive, strict=True) if off
    )
    return facts


def _edge_changes(both: pd.DataFrame, left: Side, right: Side, drawn: set[str]) -> pd.DataFrame:
    """Change of every stored edge's weight, strongest first.

    Columns source, target (rows of `difference_frame`), weight (right minus left), and
    drawn: whether both ends are drawn and either side keeps the edge.
    """
    order = {str(name): row for row, name in enumerate(both.index)}
    frames = []
    for side, sign in ((left, -1.0), (right, 1.0)):
        ids = np.array([order[name] for name in node_ids(side.nodes)], dtype=np.int64)
        kept = np.zeros(len(side.edges), dtype=bool)
        kept[side.kept_edges] = True
        frames.append(
            pd.DataFrame(
                {
                    "source": ids[side.edges["source"].to_numpy()],
                    "target": ids[side.edges["target"].to_numpy()],
                    "weight": sign * side.edges["weight"].to_numpy().astype(np.float64),
                    "drawn": kept,
                }
            )
        )
    joined = pd.concat(frames, ignore_index=True)
    summed = joined.groupby(["source", "target"], as_index=False).agg(
        weight=("weight", "sum"), drawn=("drawn", "any")
    )
    inside = np.array([str(name) in drawn for name in both.index], dtype=bool)
    summed["drawn"] &= inside[summed["source"].to_numpy()] & inside[summed["target"].to_numpy()]
    ordered = np.argsort(-summed["weight"].abs().to_numpy(), kind="stable")
    return summed.iloc[ordered].reset_index(drop=True)
