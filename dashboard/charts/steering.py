"""Next-token distribution before and after steering, with the band of random features."""

import math
from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.candidates import label_axis, rows
from dashboard.charts.common import finish
from dashboard.text import interval

BEFORE: Final = "#aab1bc"
AFTER: Final = "#54657d"


def distribution(frame: pd.DataFrame) -> Any:
    """Bars before and after by token; the dark line is where random features end up.

    Parameters
    ----------
    frame
        Columns token, text, label, side (before, after), probability, low, high.
    """
    data = rows(frame).assign(
        between=[interval(a, b) for a, b in zip(frame["low"], frame["high"], strict=True)]
    )
    data["end"] = data[["probability", "high"]].max(axis=1)
    # In steps of a fifth, so that the scale rests while a slider moves.
    top = min(1.0, 0.2 * math.ceil(5 * 1.08 * max(float(data["end"].max()), 0.01)))
    order = list(dict.fromkeys(data["row"]))
    base = alt.Chart(data).encode(
        y=alt.Y("row:N", sort=order, title=None, axis=label_axis(), scale=alt.Scale(paddingInner=0.25)),
        yOffset=alt.YOffset("side:N", sort=["before", "after"]),
        tooltip=[
            alt.Tooltip("row:N", title="token"),
            alt.Tooltip("token:Q", title="token id"),
            alt.Tooltip("label:N", title="token label"),
            alt.Tooltip("side:N", title="steering"),
            alt.Tooltip("written:N", title="probability"),
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
    after = base.transform_filter("datum.side == 'after' && isValid(datum.low)")
    # Dark within white: seen on bars of either shade and on either page.
    halo = after.mark_rule(color="#ffffff", strokeWidth=6).encode(x="low:Q", x2="high:Q")
    band = after.mark_rule(color="#15181d", strokeWidth=2.5).encode(x="low:Q", x2="high:Q")
    text = base.mark_text(align="left", dx=6, fontSize=11, color="#8a8f98").encode(
        x="end:Q", text="written:N"
    )
    return finish(alt.layer(bars, halo, band, text).properties(height=alt.Step(13)))
