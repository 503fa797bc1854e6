"""Below the ranking: how much of each variant the base's transcoders explain."""

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.data import readers
from dashboard.shell import downloads
from dashboard.shell.guard import guard
from dashboard.style.text import interval, number

_COLUMNS: Final = {
    "replacement": (
        "replacement score",
        "Influence on the logits that comes from tokens, of that from tokens and error nodes.",
    ),
    "completeness": (
        "completeness",
        "Share of the inputs of all nodes, by influence, that do not come from error nodes.",
    ),
    "error_share": (
        "error share",
        "Absolute direct effects of error nodes on the logits, of all direct effects on them: the mean "
        "error-node share.",
    ),
    "unselected_share": (
        "no nodes",
        "Absolute direct effects of active features that are no nodes, of all direct effects, theirs "
        "included (the error share leaves them out): influence and total effect of others do not pass "
        "through them.",
    ),
}


def dictionary_frame(table: xr.Dataset) -> pd.DataFrame:
    """One row a variant: means over situations, their intervals in words, and n.

    Parameters
    ----------
    table
        The group ``dictionary`` of the features dataset.
    """
    frame = pd.DataFrame({"variant": table["variant"].values})
    # Artifacts of before version 4 do not have the last.
    for name in (name for name in _COLUMNS if name in table):
        frame[name] = table[name].values
        low, high = table[f"{name}_low"].values, table[f"{name}_high"].values
        frame[f"{name}_interval"] = [interval(a, b) for a, b in zip(low, high, strict=True)]
    if not frame.get("unselected_share", pd.Series(dtype=float)).any():  # every active feature is a node
        frame = frame.drop(columns=["unselected_share", "unselected_share_interval"], errors="ignore")
    frame["change_error_share"] = table["change_error_share"].values
    frame["n_situations"] = table["n_situations"].values
    order = np.argsort(frame["variant"].to_numpy() != "base", kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def show(name: str) -> None:
    """Draw the table of a profile's variants."""
    with guard("How much of each variant the base's transcoders explain."):
        frame = dictionary_frame(readers.dataset(name, "features", "dictionary"))
        st.markdown(
            "**Does the base's dictionary still explain the adapted model?**",
            help="The transcoders were trained on the base. Means over situations of the graphs of each "
            "variant, with bootstrap-t intervals over situations. The lower replacement and "
            "completeness and the higher the error share, the less a ranking of features can see.",
        )
        # A cell holds the estimate beside its interval, as everywhere.
        shown = pd.DataFrame({"variant": frame["variant"]})
        columns = [column for column in _COLUMNS if column in frame]
        for column in columns:
            values, words = frame[column], frame[f"{column}_interval"]
            shown[column] = [f"{number(v)} {w}" for v, w in zip(values, words, strict=True)]
        shown["change_error_share"] = frame["change_error_share"]
        shown["n_situations"] = frame["n_situations"]
        st.dataframe(
            shown,
            hide_index=True,
            key="dictionary",
            placeholder="—",
            # What fits into the column's width first.
            column_order=["variant", "change_error_share", *reversed(columns), "n_situations"],
            column_config={
                **{
                    column: st.column_config.TextColumn(title, help=f"{meaning} Share, with interval.")
                    for column, (title, meaning) in _COLUMNS.items()
                    if column in columns
                },
                "change_error_share": st.column_config.NumberColumn(
                    "of the change",
                    format="percent",
                    width=90,
                    help="Of the change of the logits against base, split by cause (adapter, features, "
                    "tokens, errors, constants), the share that sits in error nodes; mean over logits, "
                    "prompts and situations. Empty for base.",
                ),
                "n_situations": st.column_config.NumberColumn(
                    "n", format="%d", help="Situations with a graph of this variant."
                ),
            },
        )
        downloads.downloads(frame, "dictionary", key="dictionary-data")
