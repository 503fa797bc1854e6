"""The difference of two graphs of one prompt: nodes by id, edges by their ends, right minus left.

A feature is in one graph only because it is inactive in the other, never because it was
pruned, fell outside a top-k or is not stored: then its value there is unknown.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from pipeline.analysis.node_ids import node_ids

SIDES: Final = ("left", "right")
_NAMES: Final = ("kind", "layer", "position", "feature", "part")


class GraphTables(Protocol):
    """What is compared of a graph."""

    @property
    def nodes(self) -> pd.DataFrame:
        """Its stored nodes, as `GraphView.nodes`; adapter nodes, if any, with a part."""

    @property
    def edges(self) -> pd.DataFrame:
        """Its stored edges: source, target (rows of `nodes`), weight; at most one a pair."""

    @property
    def active(self) -> Mapping[tuple[int, int, int], float]:
        """Activation by (layer, position, feature) of every active feature node, stored or not."""


def node_changes(left: GraphTables, right: GraphTables) -> pd.DataFrame:
    """Nodes of both graphs by id.

    Returns
    -------
    pd.DataFrame
        Index id. Columns kind, layer, position, feature, part; presence (``shared``, or
        ``left`` or ``right`` where it is active in that graph only; adapter nodes: where
        only that graph has them); and of either side, with ``_left`` and ``_right``: row (in
        its nodes; NaN: it stores none), influence, value (NaN: not stored), activation (of
        features, 0 where inactive) and size (influence, probability for logits; 0 where the
        node is inactive or there is no adapter, NaN where it is not known). Then change: right
        minus left size, in which what a side does not store counts as 0, its least.
    """
    tables = [_by_id(side) for side in (left, right)]
    both = tables[0].merge(
        tables[1], how="outer", left_index=True, right_index=True, suffixes=("_left", "_right")
    )
    for name in _NAMES:
        both[name] = both[f"{name}_left"].where(both[f"{name}_left"].notna(), both[f"{name}_right"])
    both = both.astype({"layer": int, "position": int, "feature": int})
    keys = list(zip(both["layer"], both["position"], both["feature"], strict=True))
    is_feature, is_adapter = both["kind"] == "feature", both["kind"] == "adapter"
    presence = pd.Series("shared", index=both.index)
    absent = {}
    for where, graph in zip(SIDES, (left, right), strict=True):
        active = np.array([graph.active.get(key, 0.0) for key in keys], dtype=np.float64)
        inactive = np.array([key not in graph.active for key in keys], dtype=bool)
        both[f"activation_{where}"] = pd.Series(active, index=both.index).where(is_feature)
        absent[where] = (is_feature & inactive) | (is_adapter & both[f"row_{where}"].isna())
        # Logits have no influence on themselves: their size is their probability.
        size = both[f"influence_{where}"].where(both["kind"] != "logit", both[f"value_{where}"])
        both[f"size_{where}"] = size.mask(size.isna() & absent[where], 0.0)
    presence[absent["right"]] = "left"
    presence[absent["left"]] = "right"
    both["presence"] = presence
    both["change"] = both["size_right"].fillna(0.0) - both["size_left"].fillna(0.0)
    measured = [
        f"{name}_{where}" for name in ("row", "influence", "value", "activation", "size") for where in SIDES
    ]
    return both[[*_NAMES, "presence", *measured, "change"]]


def edge_changes(changes: pd.DataFrame, left: GraphTables, right: GraphTables) -> pd.DataFrame:
    """Change of every stored edge's weight, strongest first.

    Parameters
    ----------
    changes
        `node_changes` of the two.

    Returns
    -------
    pd.DataFrame
        Columns source, target (rows of `changes`), weight (right minus left A[target, source];
        an edge that a side does not store counts as 0 there), row_left, row_right (in that
        side's edges; NaN: it stores none).
    """
    place = {str(name): row for row, name in enumerate(changes.index)}
    frames = []
    for where, side, sign in (("left", left, -1.0), ("right", right, 1.0)):
        rows = np.array([place[name] for name in node_ids(side.nodes)], dtype=np.int64)
        frame: dict[str, Any] = {
            "source": rows[side.edges["source"].to_numpy()],
            "target": rows[side.edges["target"].to_numpy()],
            "weight": sign * side.edges["weight"].to_numpy().astype(np.float64),
            "row_left": np.nan,
            "row_right": np.nan,
        }
        frames.append(pd.DataFrame(frame | {f"row_{where}": np.arange(len(side.edges), dtype=np.float64)}))
    summed = (
        pd.concat(frames, ignore_index=True)
        .groupby(["source", "target"], as_index=False)
        .agg(weight=("weight", "sum"), row_left=("row_left", "first"), row_right=("row_right", "first"))
    )
    order = np.argsort(-summed["weight"].abs().to_numpy(), kind="stable")
    return summed.iloc[order].reset_index(drop=True)


def score_changes(
    changes: pd.DataFrame, left: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores on both sides of every node of `changes`.

    Parameters
    ----------
    left, right
        (node, contrast, score) of each graph's nodes, NaN: none.

    Returns
    -------
    tuple of numpy.ndarray
        (row of `changes`, contrast, score) each: 0 where the node is inactive or there is no
        adapter, NaN where a side does not store it. Adapter nodes have a first score only.
    """
    sides = []
    is_adapter = (changes["kind"] == "adapter").to_numpy()
    for where, other, scores in (("left", "right", left), ("right", "left", right)):
        row = changes[f"row_{where}"].to_numpy(dtype=np.float64)
        stored = np.isfinite(row)
        out = np.full((len(changes), *scores.shape[1:]), np.nan)
        out[(changes["presence"] == other).to_numpy()] = 0.0
        out[stored] = scores[row[stored].astype(np.int64)]
        out[is_adapter, :, 1:] = np.nan
        sides.append(out)
    return sides[0], sides[1]


def _by_id(side: GraphTables) -> pd.DataFrame:
    nodes = side.nodes
    frame = nodes.assign(id=node_ids(nodes), kind=nodes["kind"].astype(str), row=np.arange(len(nodes)))
    if "part" not in frame:
        frame["part"] = ""
    return frame.set_index("id")
