"""The share of the difference that the first k features of every order carry, drawn."""

from typing import Final

import pandas as pd

from dashboard.charts.faithfulness import curves
from dashboard.data import readers
from dashboard.data.faithfulness import DONE, order_name
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


def draw(name: str, experiment: str, table: pd.DataFrame, band: pd.DataFrame) -> None:
    """Draw the curves, some share of which is known; `table` and `band` from `data.faithfulness.frames`."""
    params = readers.provenance(name, _DATASET)["parameters"][_DATASET]
    colours = {order_name(order): colour for order, colour in _COLOURS.items()}
    colours = {order: colours[order] for order in table["order"].unique()}
    downloads.chart(
        curves(table, band, colours, reached=float(params["reached"])),
        table,
        f"faithfulness-{experiment}",
        key="faithfulness-chart",
        alt=f"Share of the difference by the first k features, in {DONE[experiment]}.",
    )
