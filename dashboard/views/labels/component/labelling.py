"""Mounts the labelling component; what it shows is made in `dashboard.views.labels.screen`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboard.style import theme

KEY: Final = "labelling"

_HERE = Path(__file__).parent
_INKS = {
    **theme.LABEL_INKS,
    "faint": theme.FAINT,
    "on-primary": theme.ON_PRIMARY,
}
_VARIABLES = " ".join(f"--{name}: {ink.css};" for name, ink in _INKS.items())


def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


_render = st.components.v2.component(
    "labelling",
    html=_text("labelling.html").format(**theme.LABEL_GLYPHS),
    css=f".labelling {{ {_VARIABLES} }}\n" + _text("labelling.css"),
    js=_text("drawing.js") + _text("labelling.js"),
)


def draw(data: dict[str, Any], *, on_said: Callable[[], None]) -> None:
    """Draw a prompt; `on_said` runs whenever a person does something, which `said` then tells."""
    _render(data=data, key=KEY, on_said_change=on_said, height=data["pixels"])


def said() -> Any:
    """What the browser tells of what was done: see `pipeline.labels.actions.Said`."""
    return st.session_state.get(KEY, {}).get("said")
