"""Where each graph node stands: x token position, y layer; shared by both panels.

A column is as wide, and a layer's band as high, as its fullest cell needs, so nodes never
overlap. Units are slots: one node takes one slot; the browser scales slots to pixels.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

PER_ROW: Final = (5, 12)
"""Nodes side by side in a cell before it wraps: at least and at most so many allowed."""

ERROR_HEIGHT: Final = 1.0
PADDING: Final = 0.5

_TOKENS: Final = (-1, 0)
_LOGITS: Final = (1 << 20, 0)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What the layout needs to know of a node.

    Attributes
    ----------
    id
        Same in both panels.
    kind
        feature, error, token, logit or adapter.
    layer, position
        0-based; `layer` is ignored for tokens and logits.
    rank
        Nodes of a cell stand in descending order of it.
    """

    id: str
    kind: str
    layer: int
    position: int
    rank: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Places by node id, and the bands and columns to draw behind them (in slots)."""

    places: dict[str, tuple[float, float]]
    rows: list[dict[str, Any]]
    columns: list[tuple[float, float]]
    width: float
    height: float


def _band(mark: Mark) -> tuple[int, int]:
    """Order of a node's band from the bottom: tokens; errors, adapters, features by layer; logits."""
    match mark.kind:
        case "token":
            return _TOKENS
        case "error":
            return (mark.layer, 0)
        case "adapter":
            return (mark.layer, 1)
        case "logit":
            return _LOGITS
    return (mark.layer, 2)


def place(marks: Iterable[Mark], *, n_layers: int, n_positions: int) -> Layout:
    """Lay nodes out.

    Parameters
    ----------
    marks
        Nodes of all panels; those with the same id share one place.
    n_layers, n_positions
        Size of the grid; every layer and position is drawn, used or not.
    """
    best: dict[str, Mark] = {}
    for mark in marks:
        if mark.id not in best or mark.rank > best[mark.id].rank:
            best[mark.id] = mark
    cells: dict[tuple[tuple[int, int], int], list[Mark]] = {}
    for mark in best.values():
        cells.setdefault((_band(mark), mark.position), []).append(mark)
    widths = [1] * n_positions
    # Crowded cells (the last position, mostly) grow in both directions.
    fullest = max((len(inside) for inside in cells.values()), default=0)
    per_row = min(max(math.ceil(math.sqrt(2 * fullest)), PER_ROW[0]), PER_ROW[1])
    for (_, position), inside in cells.items():
        widths[position] = max(widths[position], min(len(inside), per_row))
    starts = [0.0]
    for width in widths:
        starts.append(starts[-1] + width + PADDING)

    bands: list[tuple[tuple[int, int], str]] = [(_TOKENS, "tokens")]
    adapted = {band for band, _ in cells if band[1] == 1}
    for layer in range(n_layers):
        bands.append(((layer, 0), f"err {layer}"))
        if (layer, 1) in adapted:
            bands.append(((layer, 1), f"adapter {layer}"))
        bands.append(((layer, 2), f"L{layer}"))
    bands.append((_LOGITS, "logits"))
    places: dict[str, tuple[float, float]] = {}
    rows: list[dict[str, Any]] = []
    bottom = 0.0
    for band, label in bands:
        inside_band = {position: inside for (key, position), inside in cells.items() if key == band}
        lines = max(
            (-(-len(inside) // widths[position]) for position, inside in inside_band.items()),
            default=0,
        )
        height = max(float(lines), ERROR_HEIGHT) + PADDING
        for position, inside in inside_band.items():
            columns = widths[position]
            ordered = sorted(inside, key=lambda mark: (-mark.rank, mark.id))
            for slot, mark in enumerate(ordered):
                line, column = divmod(slot, columns)
                in_line = min(columns, len(ordered) - line * columns)
                x = starts[position] + PADDING / 2 + columns / 2 + (column - (in_line - 1) / 2)
                y = bottom + height / 2 + ((lines - 1) / 2 - line)
                places[mark.id] = (round(x, 3), round(y, 3))
        shaded = band[1] == 2 or band in (_TOKENS, _LOGITS)
        rows.append({"y0": bottom, "y1": bottom + height, "label": label, "band": shaded})
        bottom += height
    return Layout(
        places=places,
        rows=rows,
        columns=[(starts[i], starts[i + 1]) for i in range(n_positions)],
        width=starts[-1],
        height=bottom,
    )
