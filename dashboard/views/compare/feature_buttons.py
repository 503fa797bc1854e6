"""What can be done with a feature that was chosen in a table of Compare."""

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.data.case import Case
from dashboard.shell import query
from dashboard.views.compare.tabs import GRAPH
from dashboard.widgets import chosen_feature, feature_in_graph


def show(case: Case, row: "pd.Series[Any]", frame: pd.DataFrame, *, key: str, file: str) -> None:
    """Buttons to its card, to Steering and to its nodes in the graph, and downloads of the table.

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
    chosen_feature.buttons(
        place,
        str(row["feature"]),
        frame,
        key=key,
        file=f"{file}-{case.prompt.hash}",
        data=file,
        pin=partial(_pin, case, *place),
    )


def _pin(case: Case, layer: int, index: int) -> None:
    """Pin a feature's nodes of either graph, and turn to the graph."""
    feature_in_graph.pin(case.views, (layer, index))
    st.session_state[query.VIEW.name] = GRAPH
