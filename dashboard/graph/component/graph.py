"""Mounts the graph component; what it draws is computed in `dashboard.graph.pruned`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.style import theme

_HERE = Path(__file__).parent
_COLOURS = {
    "positive": theme.POSITIVE,
    "negative": theme.NEGATIVE,
    "neutral": theme.NEUTRAL,
    "positive-text": theme.SIGN_INKS["positive"].css,
    "negative-text": theme.SIGN_INKS["negative"].css,
}
_VARIABLES = " ".join(f"--{name}: {colour};" for name, colour in _COLOURS.items())
_render = st.components.v2.component(
    "circuit_graph",
    html='<div class="graph"></div>',
    css=f".graph {{ {_VARIABLES} }}\n" + (_HERE / "graph.css").read_text(encoding="utf-8"),
    js=(_HERE / "graph.js").read_text(encoding="utf-8"),
)


def draw(data: dict[str, Any], *, key: str, on_pins: Callable[[], None]) -> None:
    """Draw the graphs; `on_pins` runs when a click or Enter changes the pinned nodes.

    The pinned node ids are then a list under ``st.session_state[key]["pins"]``.
    """
    _render(data=data, key=key, on_pins_change=on_pins, height=data["pixels"])


def pinned(key: str) -> list[str]:
    """Node ids that the component reports as pinned."""
    value = st.session_state.get(key, {}).get("pins")
    return [str(node) for node in value] if isinstance(value, list) else []
