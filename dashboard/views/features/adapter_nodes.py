"""What stands beside F(k) of features: orders that hold what the adapter writes, and random adapters."""

from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.data import readers
from dashboard.shell import downloads
from dashboard.style.text import count, interval, number, percent, plain, share_interval
from store.base.errors import StoreError
from store.schema.vocabulary import FEATURES_AND_NODES, NODES, TAKEN

_DATASET: Final = "faithfulness"
_ORDERS: Final = {NODES: "what the adapter writes", FEATURES_AND_NODES: "that, among features"}


def node_frame(name: str, experiment: str) -> pd.DataFrame:
    """A row an order that holds adapter nodes, given or (in `TAKEN`) taken; none in older artifacts."""
    try:
        table = readers.dataset(name, _DATASET, "nodes")
    except StoreError:
        return pd.DataFrame()
    row = list(table["direction"].values).index(TAKEN) if experiment == TAKEN else 0
    columns = ("area", "area_low", "area_high", "fewest", "p_random", "area_random")
    frame = pd.DataFrame({column: table[column].values[row] for column in columns})
    parts, found = list(map(str, table["node"].values)), []
    for rank in table["rank"].values:  # (part, layer)
        first = [(place, f"L{layer} {parts[part]} {place}") for (part, layer), place in np.ndenumerate(rank)]
        found.append(", ".join(word for place, word in sorted(first) if place > 0))
    frame.insert(0, "order", [_ORDERS[str(order)] for order in table["node_order"].values])
    return frame.assign(nodes=found)


def said_of_nulls(name: str) -> str:
    """What random adapters do, in a sentence or two; empty: there is none."""
    try:
        table = readers.dataset(name, _DATASET, "nulls")
    except StoreError:
        return ""
    if not table.sizes["null"]:
        return ""
    moved = [
        f"{null} moves the log-odds by {number(float(change), sign=True)} {interval(float(low), float(high))}"
        + (f" (no share of that is known: {reason})" if reason else "")
        for null, change, low, high, reason in zip(
            *(table[column].values for column in ("null", "change", "change_low", "change_high", "reason")),
            strict=True,
        )
    ]
    whole = f"Random adapters: {'; '.join(moved)}."
    share = table["fraction"].values
    if not np.isfinite(share).any():
        return whole
    return (
        f"{whole} Through the first features of these orders, however many, they carry "
        f"{percent(float(np.nanmin(share)))} to {percent(float(np.nanmax(share)))} "
        "of the adapter's difference."
    )


def written(frame: pd.DataFrame) -> list[str]:
    """Areas with their intervals, of columns area, area_low and area_high."""
    return [
        f"{percent(area)} {share_interval(low, high)}"
        for area, low, high in zip(frame["area"], frame["area_low"], frame["area_high"], strict=True)
    ]


def area_columns(of: str = "") -> dict[str, Any]:
    """Columns of a table of orders: area as `written`, fewest, and what random orders of the same come to.

    `of` says what the first k are, where they are not features alone.
    """
    return {
        "written": st.column_config.TextColumn(
            "area",
            help="Mean of F(k), at most 1, over log k; bootstrap-t interval over situations.",
            width=138,
        ),
        "fewest": st.column_config.TextColumn(
            "fewest",
            help=f"The first k{of} whose F(k) is at least a half (faithfulness.reached).",
            width=60,
        ),
        "p_random": st.column_config.NumberColumn(
            "p",
            format="%.2g",
            help="Random orders of the same with as large an area, and this one, of all.",
            width=50,
        ),
        "area_random": st.column_config.NumberColumn(
            "random", format="percent", help="Mean area of random orders of the same.", width=66
        ),
    }


def show(name: str, experiment: str) -> None:
    """Draw the table of orders that hold adapter nodes, and say what random adapters do."""
    frame = node_frame(name, experiment)
    if len(frame) and frame["area"].notna().any():
        st.caption(
            plain(
                "An adapter node is what the adapter writes through one layer's MLP or attention, at every "
                "position. All of them together are the whole difference, for features differ only because "
                "of them; so orders of features stand by themselves, and these beside them."
            )
        )
        st.dataframe(
            frame.assign(
                written=written(frame),
                fewest=[count(int(each)) if each >= 0 else "none" for each in frame["fewest"]],
            ),
            hide_index=True,
            key="faithfulness-nodes",
            placeholder="—",
            column_order=["order", "written", "fewest", "p_random", "area_random", "nodes"],
            column_config={
                "order": st.column_config.TextColumn(
                    "order by EAP-IG",
                    help="Adapter nodes alone, and among features, by edge attribution with integrated "
                    "gradients on the other situations: the one score that both have in one unit.",
                    width=170,
                ),
                **area_columns(", nodes and features,"),
                "nodes": st.column_config.TextColumn(
                    "nodes", help="Layer, what writes, and its place in the order.", width=260
                ),
            },
        )
        downloads.downloads(frame, "faithfulness-nodes", key="faithfulness-nodes-data")
    if said := said_of_nulls(name):
        st.caption(plain(said))
