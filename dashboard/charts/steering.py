"""Next-token distribution before and after steering, with the band of random features."""

import functools
import math
from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.candidates import label_axis, rows, token_tooltip
from dashboard.charts.common import ROWS, Drawn, finish
from dashboard.style.text import interval

BEFORE: Final = "#aab1bc"
AFTER: Final = "#54657d"


def distribution(frame: pd.DataFrame) -> Drawn:
    """Bars before and after by token; the dark line is where random features end up.

    Parameters
    ----------
    frame
        Columns token, text, label, side (before, after), probability, low, high; tokens are
        listed in its order.
    """
    data = rows(frame).assign(
        between=[interval(a, b) for a, b in zip(frame["low"], frame["high"], strict=True)],
        end=frame[["probability", "high"]].max(axis=1),
        place=range(len(frame)),
    )
    # In steps of a fifth, so that the scale rests while a slider moves.
    fifths = min(5, math.ceil(5 * 1.08 * max(float(data["end"].max()), 0.01)))
    return Drawn(_distribution(fifths / 5), data)


@functools.cache
def _distribution(top: float) -> dict[str, Any]:
    """The specification for probabilities up to `top`."""
    order = alt.EncodingSortField("place", op="min")
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        y=alt.Y("row:N", sort=order, title=None, axis=label_axis(), scale=alt.Scale(paddingInner=0.25)),
        yOffset=alt.YOffset("side:N", sort=["before", "after"]),
        tooltip=[
            *token_tooltip(alt.Tooltip("side:N", title="steering")),
            alt.Tooltip("between:N", title="random features, 90%"),
        ],
    )
    bars = base.mark_bar(cornerRadiusEnd=2).encode(
        x=alt.X(
            "probability:Q",
            title="probability of the next token",
            scale=alt.Scale(domain=(0, top), clamp=True),
            axis=alt.Axis(tickCount=5, format="~g"),
        ),
        color=alt.Color(
            "side:N",
            sort=["before", "after"],
            scale=alt.Scale(domain=["before", "after"], range=[BEFORE, AFTER]),
        ),
    )
    # Dark within white: seen on bars of either shade and on either page. Rows without a band have none.
    halo = base.mark_rule(color="#ffffff", strokeWidth=6).encode(x="low:Q", x2="high:Q")
    band = base.mark_rule(color="#15181d", strokeWidth=2.5).encode(x="low:Q", x2="high:Q")
    text = base.mark_text(align="left", dx=6, fontSize=11, color="#8a8f98").encode(
        x="end:Q", text="written:N"
    )
    layers = alt.layer(bars, halo, band, text)
    spec: dict[str, Any] = finish(layers.properties(height=alt.Step(13))).to_dict()
    return spec
