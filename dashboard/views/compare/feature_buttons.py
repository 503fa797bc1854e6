"""What can be done with a feature that was chosen in a table of Compare."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.data.case import Case
from dashboard.pages import FEATURES
from dashboard.shell import downloads, query, selection
from dashboard.style.text import plain
from dashboard.views.compare.tabs import GRAPH
from dashboard.widgets import feature_in_graph


def show(case: Case, row: "pd.Series[Any]", frame: pd.DataFrame, *, key: str, file: str) -> None:
    """Buttons to its card and to its nodes in the graph, and downloads of the table.

    Parameters
    ----------
    case
        What Compare shows.
    row
        The chosen row: feature (in words), layer, index.
    frame
        The table.
    key, file
        Of the buttons, and of what is downloaded; the prompt's hash is added to the file's name.
    """
    place = (int(row["layer"]), int(row["index"]))
    with st.container(horizontal=True, gap="small"):
        if st.button(f"Card of {plain(row['feature'])}", key=f"{key}-card", icon=":material/badge:"):
            selection.choose_feature(*place)
            selection.go(FEATURES)
        if st.button(
            f"Pin {plain(row['feature'])} in the graph",
            key=f"{key}-pin",
            icon=":material/hub:",
            on_click=_pin,
            args=(case, *place),
        ):
            st.rerun()  # the whole page: the graph is on another tab
        downloads.downloads(frame, f"{file}-{case.prompt.hash}", key=file)


def _pin(case: Case, layer: int, index: int) -> None:
    """Pin a feature's nodes of either graph, and turn to the graph."""
    feature_in_graph.pin(case.views, (layer, index))
    st.session_state[query.VIEW.name] = GRAPH
