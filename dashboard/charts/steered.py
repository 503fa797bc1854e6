"""What steering does to answers: a dot an entry with its interval, over the band of random ones."""

from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, LEGEND, ROW, finish
from dashboard.style.theme import NEUTRAL, STEERING_COLOURS

FOUND: Final = ("beyond chance", "not beyond chance")
BESIDE: Final = "beside, no candidate"


def leaderboard(frame: pd.DataFrame, *, axis: str) -> Any:
    """Effects in the frame's order.

    Parameters
    ----------
    frame
        Columns label (one a row), effect, low, high, random_low, random_high (rates; NaN: none), found, place
        (0: no candidate), what.
    axis
        Title of the effect.
    """
    judged = zip(frame["found"], frame["place"] > 0, strict=True)
    rows = frame.assign(verdict=[FOUND[not found] if candidate else BESIDE for found, candidate in judged])
    order = rows["label"].tolist()
    y = alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=320))
    base = alt.Chart(rows).encode(y=y)
    title = alt.X("effect:Q", title=axis, axis=alt.Axis(format="+%"))
    random = base.mark_bar(color=STEERING_COLOURS["random"], opacity=0.25, height=ROW - 6).encode(
        x=alt.X("random_low:Q", title=axis), x2="random_high:Q"
    )
    spans = base.mark_rule(color=STEERING_COLOURS["after"], strokeWidth=2).encode(
        x=alt.X("low:Q", title=axis), x2="high:Q"
    )
    points = base.mark_point(filled=True, opacity=1, size=70, color=STEERING_COLOURS["after"]).encode(
        x=title,
        shape=alt.Shape(
            "verdict:N",
            scale=alt.Scale(domain=[*FOUND, BESIDE], range=["circle", "square", "triangle-up"]),
            legend=alt.Legend(columns=3),
        ),
        tooltip=[
            alt.Tooltip("label:N", title="what"),
            alt.Tooltip("what:N", title="kind"),
            alt.Tooltip("effect:Q", format="+.1%"),
            alt.Tooltip("low:Q", title="interval, lower", format="+.1%"),
            alt.Tooltip("high:Q", title="interval, upper", format="+.1%"),
            alt.Tooltip("random_low:Q", title="random ones, 5%", format="+.1%"),
            alt.Tooltip("random_high:Q", title="random ones, 95%", format="+.1%"),
        ],
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=NEUTRAL, strokeDash=[3, 3])
    return finish(
        alt.layer(random, zero.encode(x=alt.X("zero:Q")), spans, points),
        height=ROW * len(rows) + AXIS + LEGEND,
    )
