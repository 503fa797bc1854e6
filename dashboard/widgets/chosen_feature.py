"""A feature that a table names: chosen by a row, then opened, steered with, or pinned by a button below."""

from collections.abc import Callable
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.pages import FEATURES, STEERING
from dashboard.shell import downloads, selection
from dashboard.style.text import feature_name, plain

STEER: Final = "_steer"
"""In the session: the feature that the Steering page is to turn, once."""


def choose(row: pd.Series, *, layer: str = "layer", index: str = "index") -> None:
    """What a row of `dashboard.widgets.row_table` does: its feature is selected on every page.

    `layer` and `index` are the columns that name the feature; where one is negative the row names none.
    """
    if row[layer] >= 0 and row[index] >= 0:
        selection.choose_feature(int(row[layer]), int(row[index]))


def buttons(
    feature: tuple[int, int] | None,
    called: str,
    frame: pd.DataFrame,
    *,
    key: str,
    file: str,
    data: str = "",
    pin: Callable[[], None] | None = None,
) -> None:
    """Below a table: buttons to a feature's card and to the Steering page, and the table's downloads.

    Parameters
    ----------
    feature
        Layer and index; None: none is chosen, and only the downloads are there.
    called
        What the buttons call it.
    frame
        What is downloaded.
    key
        The buttons are ``<key>-card``, ``<key>-steer`` and ``<key>-pin``.
    file, data
        Name of the files, and key of the downloads where it is another one.
    pin
        Pins its nodes in the graph of the same page; None: there is none.
    """
    with st.container(horizontal=True, gap="small"):
        if feature is not None:
            card_button(feature, called, key=f"{key}-card")
            steer_button(feature, key=f"{key}-steer")
        if pin is not None and st.button(
            f"Pin {plain(called)} in the graph", key=f"{key}-pin", icon=":material/hub:", on_click=pin
        ):
            st.rerun()  # the whole page: the graph is on another tab
        downloads.downloads(frame, file, key=data or file)


def card_button(feature: tuple[int, int], called: str, *, key: str) -> None:
    """A button that opens a feature's card."""
    if st.button(f"Card of {plain(called)}", key=key, icon=":material/badge:"):
        selection.choose_feature(*feature)
        selection.go(FEATURES)


def steer_button(feature: tuple[int, int], *, key: str) -> None:
    """A button that turns a feature on the Steering page."""
    if st.button("Steer this", key=key, icon=STEERING.icon):
        st.session_state[STEER] = feature_name(*feature)
        selection.go(STEERING)
