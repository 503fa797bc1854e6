"""F(k): how much of the difference the first k features of an order carry, beside random ones."""

from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, finish
from dashboard.charts.rates import legend_height
from dashboard.style.theme import NEUTRAL, STEERING_COLOURS

_DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])


def curves(frame: pd.DataFrame, band: pd.DataFrame, colours: Mapping[str, str], *, reached: float) -> Any:
    """A line an order with its interval, over the band that random orders reach.

    Parameters
    ----------
    frame
        Columns order (its name), k, fraction, low, high (share; NaN: no interval), random, and matched
        where that is known.
    band
        Columns k, low, high: the random orders; NaN where there are none.
    colours
        By order's name.
    reached
        A line is drawn at this share, and at 1.
    """
    x = alt.X(
        "k:Q", title="first k features of the order", scale=alt.Scale(type="log"), axis=alt.Axis(format="d")
    )
    y = alt.Y("fraction:Q", title="share of the difference", axis=alt.Axis(format="%"))
    names, legend = list(colours), alt.Legend(columns=3)
    dashes = [_DASHES[place % len(_DASHES)] for place in range(len(names))]
    matched = [alt.Tooltip("matched:Q", title="features that move as far, mean", format=".1%")]
    base = alt.Chart(frame).encode(
        x=x,
        color=alt.Color(
            "order:N", scale=alt.Scale(domain=names, range=list(colours.values())), legend=legend
        ),
        tooltip=[
            alt.Tooltip("order:N"),
            alt.Tooltip("k:Q", title="first features"),
            alt.Tooltip("fraction:Q", title="share", format=".1%"),
            alt.Tooltip("low:Q", title="interval, lower", format=".1%"),
            alt.Tooltip("high:Q", title="interval, upper", format=".1%"),
            alt.Tooltip("random:Q", title="random orders, mean", format=".1%"),
            *(matched if "matched" in frame else ()),
        ],
    )
    lines = base.mark_line(strokeWidth=2).encode(
        y=y, strokeDash=alt.StrokeDash("order:N", scale=alt.Scale(domain=names, range=dashes), legend=legend)
    )
    points = base.mark_point(size=45, filled=True, opacity=1).encode(y=y)
    spans = base.mark_rule(opacity=0.45).encode(
        y=alt.Y("low:Q", title="share of the difference"), y2="high:Q"
    )
    random = (
        alt.Chart(band)
        .mark_area(color=STEERING_COLOURS["random"], opacity=0.25)
        .encode(x=x, y=alt.Y("low:Q", title="share of the difference"), y2="high:Q")
    )
    marks = pd.DataFrame({"share": [0.0, reached, 1.0]})
    rules = alt.Chart(marks).mark_rule(color=NEUTRAL, strokeDash=[3, 3]).encode(y=alt.Y("share:Q"))
    return finish(
        alt.layer(random, rules, spans, lines, points), height=300 + AXIS + legend_height(len(names))
    )
