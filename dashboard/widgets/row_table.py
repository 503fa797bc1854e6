"""A table whose row chooses something, for the page or for all of them."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.shell import downloads

MOST: Final = 500
"""Rows of a list of all prompts that are sent to the browser: of ten thousand a click sends megabytes."""


def show(
    frame: pd.DataFrame,
    *,
    key: str,
    choose: Callable[[pd.Series], None],
    columns: dict[str, Any],
    order: Sequence[str] | None = None,
    height: int | None = None,
) -> None:
    """Draw the table; a click on a row's box calls `choose` with the row, before the page is drawn anew.

    Parameters
    ----------
    frame
        What is shown.
    key
        Of the table. Another filter is another table and has another key: a row's number means another row.
    choose
        What a chosen row does.
    columns, order
        Their configurations by name, and which are shown; None: all.
    height
        In pixels; None: as high as its rows, within bounds.
    """

    def chosen() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        # A browser may answer late, with a row of what was there before.
        if rows and rows[0] < len(frame):
            choose(frame.iloc[rows[0]])

    st.dataframe(
        frame,
        hide_index=True,
        key=key,
        placeholder="—",
        on_select=chosen,
        selection_mode="single-row",
        height=downloads.table_height(len(frame)) if height is None else height,
        column_order=order,
        column_config=columns,
    )
