"""Next-token distribution before and after steering, and where random features take it."""

import functools
import math
from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.candidates import label_axis, rows, token_tooltip
from dashboard.charts.common import AXIS, LEGEND, ROWS, Drawn, finish, ink
from dashboard.style.text import interval, number
from dashboard.style.theme import FAINT, NEUTRAL, STEERING_COLOURS

RANDOM: Final = "like features, 90%"
_LINES: Final = dict(zip(("before", "after", RANDOM), STEERING_COLOURS.values(), strict=True))
"""What a token has, one line below the other, each with its colour."""


def distribution(frame: pd.DataFrame, other: tuple[str, str] | None = None) -> Drawn:
    """Lines by token: bars of every side, and the span where random features end up.

    Parameters
    ----------
    frame
        Columns token, text, label, side (before, other, after), probability, low, high; tokens are
        listed in its order.
    other
        What the side `other` is called, and its colour; None: there is none.
    """
    named = frame if other is None else frame.replace({"side": {"other": other[0]}})
    data = rows(named).assign(
        between=[interval(a, b) for a, b in zip(frame["low"], frame["high"], strict=True)],
        place=range(len(frame)),
    )
    # In steps of a fifth, so that the scale rests while a slider moves.
    end = float(frame[["probability", "high"]].max(axis=None))
    top = min(5, math.ceil(5 * 1.08 * max(end, 0.01))) / 5
    return Drawn(_distribution(top, data["row"].nunique(), other), data)


@functools.cache
def _distribution(top: float, tokens: int, other: tuple[str, str] | None) -> dict[str, Any]:
    """The specification for probabilities up to `top` of so many tokens."""
    shown = dict(_LINES)
    if other is not None:
        name, colour = other
        shown = {"before": _LINES["before"], name: colour, "after": _LINES["after"], RANDOM: _LINES[RANDOM]}
    lines = alt.Scale(domain=list(shown))
    colours = alt.Scale(domain=list(shown), range=list(shown.values()))
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
        alt.layer(bars, span, text), height=14 * len(shown) * tokens + AXIS + LEGEND
    ).to_dict()
    return spec


def doses(frame: pd.DataFrame, *, of: str) -> Any:
    """A probability by the setting's strength, over the band of features like it; dashed: none, all of it.

    Parameters
    ----------
    frame
        Columns strength, probability, low, high.
    of
        What the probability is of.
    """
    data = frame.assign(
        written=[number(value) for value in frame["probability"]],
        between=[interval(a, b) for a, b in zip(frame["low"], frame["high"], strict=True)],
    )
    base = alt.Chart(data).encode(
        x=alt.X("strength:Q", title="strength of the setting", axis=alt.Axis(tickCount=9, format="~g")),
        tooltip=[
            alt.Tooltip("strength:Q"),
            alt.Tooltip("written:N", title=f"probability of {of}"),
            alt.Tooltip("between:N", title=RANDOM),
        ],
    )
    y = alt.Y(
        "probability:Q",
        title=f"probability of {of}",
        scale=alt.Scale(domainMin=0),
        axis=alt.Axis(format="~g"),
    )
    band = base.mark_area(opacity=0.3, color=_LINES[RANDOM]).encode(y=alt.Y("low:Q"), y2="high:Q")
    line = base.mark_line(color=_LINES["after"], point=alt.OverlayMarkDef(color=_LINES["after"], size=50))
    marks = (
        alt.Chart(pd.DataFrame({"strength": [0.0, 1.0]}))
        .mark_rule(strokeDash=[5, 4], color=NEUTRAL)
        .encode(x="strength:Q")
    )
    return finish(alt.layer(band, marks, line.encode(y=y)), height=220 + AXIS)
