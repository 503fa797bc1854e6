"""Next-token distribution before and after steering, and where random features take it."""

import functools
import math
from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.candidates import label_axis, rows, token_tooltip
from dashboard.charts.common import AXIS, LEGEND, ROWS, Drawn, finish, ink
from dashboard.style.text import interval
from dashboard.style.theme import FAINT, STEERING_COLOURS

RANDOM: Final = "like features, 90%"
_LINES: Final = dict(zip(("before", "after", RANDOM), STEERING_COLOURS.values(), strict=True))
"""What a token has, one line below the other, each with its colour."""


def distribution(frame: pd.DataFrame) -> Drawn:
    """Three lines by token: bars before and after, and the span where random features end up.

    Parameters
    ----------
    frame
        Columns token, text, label, side (before, after), probability, low, high; tokens are
        listed in its order.
    """
    data = rows(frame).assign(
        between=[interval(a, b) for a, b in zip(frame["low"], frame["high"], strict=True)],
        place=range(len(frame)),
    )
    # In steps of a fifth, so that the scale rests while a slider moves.
    end = float(frame[["probability", "high"]].max(axis=None))
    top = min(5, math.ceil(5 * 1.08 * max(end, 0.01))) / 5
    return Drawn(_distribution(top, data["row"].nunique()), data)


@functools.cache
def _distribution(top: float, tokens: int) -> dict[str, Any]:
    """The specification for probabilities up to `top` of so many tokens."""
    lines = alt.Scale(domain=list(_LINES))
    colours = alt.Scale(domain=list(_LINES), range=list(_LINES.values()))
    order = alt.EncodingSortField("place", op="min")
    base = alt.Chart(alt.NamedData(ROWS)).encode(
        y=alt.Y("row:N", sort=order, title=None, axis=label_axis(), scale=alt.Scale(paddingInner=0.15)),
        tooltip=[
            *token_tooltip(alt.Tooltip("side:N", title="steering")),
            alt.Tooltip("between:N", title=RANDOM),
        ],
    )
    side = base.encode(yOffset=alt.YOffset("side:N", scale=lines))
    bars = side.mark_bar(cornerRadiusEnd=2).encode(
        x=alt.X(
            "probability:Q",
            title="probability of the next token",
            scale=alt.Scale(domain=(0, top), clamp=True),
            axis=alt.Axis(tickCount=5, format="~g"),
        ),
        color=alt.Color("side:N", scale=colours),
    )
    text = side.mark_text(align="left", dx=6, fontSize=11, color=ink(FAINT)).encode(
        x="probability:Q", text="written:N"
    )
    # Round ends, so that a span of no length is a dot. Rows without one have none.
    span = base.mark_rule(strokeWidth=5, strokeCap="round").encode(
        x="low:Q", x2="high:Q", yOffset=alt.YOffsetDatum(RANDOM), color=alt.ColorDatum(RANDOM)
    )
    spec: dict[str, Any] = finish(
        alt.layer(bars, span, text), height=14 * len(_LINES) * tokens + AXIS + LEGEND
    ).to_dict()
    return spec
