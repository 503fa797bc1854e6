"""Dose-response: what changes with the adapter's scale."""

from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.candidates import label_axis, rows, token_tooltip
from dashboard.charts.common import AXIS, ROW, cells, finish
from dashboard.style.text import number
from dashboard.style.theme import LABEL_COLOURS, NEUTRAL

_SHAPES: Final = {"evil": "triangle-up", "safe": "square"}


def response(frame: pd.DataFrame) -> Any:
    """Probability of evil and of safe tokens against scale.

    Parameters
    ----------
    frame
        Columns scale, variant, label (evil, safe), probability, n.
    """
    labels = [label for label in _SHAPES if (frame["label"] == label).any()]
    names = {label: f"{label} tokens" for label in labels}
    shown = list(names.values())
    data = frame.assign(
        name=frame["label"].map(names),
        written=frame["probability"].map(number),
        at=frame["scale"].map("{:g}".format),
    )
    base = alt.Chart(data).encode(
        x=_scale(frame),
        y=alt.Y("probability:Q", title="probability of the next token", scale=alt.Scale(domain=(0, 1))),
        color=alt.Color(
            "name:N", scale=alt.Scale(domain=shown, range=[LABEL_COLOURS[label] for label in labels])
        ),
        tooltip=[
            alt.Tooltip("variant:N"),
            alt.Tooltip("at:N", title="scale"),
            alt.Tooltip("name:N", title="tokens"),
            alt.Tooltip("written:N", title="probability"),
            alt.Tooltip("n:Q", title="n tokens"),
        ],
    )
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        shape=alt.Shape("name:N", scale=alt.Scale(domain=shown, range=[_SHAPES[label] for label in labels]))
    )
    return finish(alt.layer(base.mark_line(strokeWidth=2), points), height=430)


def candidates(frame: pd.DataFrame) -> Any:
    """Every candidate's probability at every scale, as cells.

    Parameters
    ----------
    frame
        Columns token, text, label, scale, probability; tokens in the order to draw them.
    """
    data = rows(frame).assign(
        at=frame["scale"].map("{:g}".format), short=frame["probability"].map("{:.2f}".format)
    )
    scales = [f"{scale:g}" for scale in sorted(frame["scale"].unique())]
    base = alt.Chart(data).encode(
        x=alt.X("at:N", sort=scales, title="adapter scale", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("row:N", sort=list(dict.fromkeys(data["row"])), title=None, axis=label_axis()),
        tooltip=token_tooltip(alt.Tooltip("at:N", title="scale")),
    )
    heat = cells(base, "probability", text="short", scheme="purples")
    return finish(heat, height=ROW * data["row"].nunique() + AXIS)


def feature(frame: pd.DataFrame, column: str, *, title: str, colour: str = NEUTRAL) -> Any:
    """One feature's activation or direct effect against scale.

    Parameters
    ----------
    frame
        Columns scale and `column`.
    column, title
        What is drawn, and what its axis says.
    colour
        Of line and points.
    """
    data = frame.assign(written=frame[column].map(number), at=frame["scale"].map("{:g}".format))
    base = alt.Chart(data).encode(
        x=_scale(frame),
        y=alt.Y(f"{column}:Q", title=title, axis=alt.Axis(tickCount=4)),
        tooltip=[alt.Tooltip("at:N", title="scale"), alt.Tooltip("written:N", title=title)],
    )
    line = base.mark_line(strokeWidth=2, color=colour)
    points = base.mark_point(size=55, filled=True, opacity=1, color=colour)
    return finish(alt.layer(line, points), height=240)


def _scale(frame: pd.DataFrame) -> alt.X:
    """The dose, with a tick at every one that was traced."""
    values = sorted(frame["scale"].unique().tolist())
    return alt.X(
        "scale:Q",
        title="adapter scale (0: base, 1: as trained)",
        axis=alt.Axis(values=values, format=".3~g", labelOverlap=True),
    )
