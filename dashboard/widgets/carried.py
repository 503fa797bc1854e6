"""The share of the difference that the first k features of every order carry, drawn."""

from typing import Any, Final, NamedTuple

import pandas as pd
import streamlit as st

from dashboard.charts.faithfulness import curves
from dashboard.data import readers
from dashboard.data.faithfulness import DONE, frames, order_name
from dashboard.data.project import artifact, fresh
from dashboard.shell import downloads
from dashboard.style.theme import ADAPTED, BASE, HARMFUL, MORE_COLOURS, NEUTRAL
from store.schema.vocabulary import FAITHFUL_ORDERS

_DATASET: Final = "faithfulness"
_COLOURS: Final = dict(
    zip(
        FAITHFUL_ORDERS,
        (BASE, MORE_COLOURS[0], MORE_COLOURS[2], ADAPTED, HARMFUL, MORE_COLOURS[1], NEUTRAL),
        strict=True,
    )
)


class Carried(NamedTuple):
    """Curves (a row an order and k), the table of orders, and the chart; None where no share is known."""

    table: pd.DataFrame
    summary: pd.DataFrame
    figure: Any


def carried(name: str, experiment: str) -> Carried:
    """Read the curves and make their chart, which no chosen feature changes."""
    return fresh(artifact(name, _DATASET), lambda path, key: _made(path, key, name, experiment))


@st.cache_resource(max_entries=8, show_spinner=False)
def _made(path: str, key: str, name: str, experiment: str) -> Carried:
    table, band, summary = frames(name, experiment)
    if not table["fraction"].notna().any():
        return Carried(table, summary, None)
    params = readers.provenance(name, _DATASET)["parameters"][_DATASET]
    colours = {order_name(order): colour for order, colour in _COLOURS.items()}
    colours = {order: colours[order] for order in table["order"].unique()}
    return Carried(table, summary, curves(table, band, colours, reached=float(params["reached"])))


def draw(found: Carried, experiment: str) -> None:
    """Draw the curves, some share of which is known."""
    downloads.chart(
        found.figure,
        found.table,
        f"faithfulness-{experiment}",
        key="faithfulness-chart",
        alt=f"Share of the difference by the first k features, in {DONE[experiment]}.",
    )
