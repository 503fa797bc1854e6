"""Dose-response: what changes with the adapter's scale, or with its training."""

from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.candidates import label_axis, rows, token_tooltip
from dashboard.charts.common import AXIS, ROW, cells, finish, ink
from dashboard.style.text import number
from dashboard.style.theme import FAINT, LABEL_COLOURS, NEUTRAL

_SHAPES: Final = {"evil": "triangle-up", "safe": "square"}


def response(frame: pd.DataFrame, *, axis: str, one: str, onset: float | None = None) -> Any:
    """Probability of evil and of safe tokens against dose.

    Parameters
    ----------
    frame
        Columns dose, variant, label (evil, safe), probability, n.
    axis, one
        What the axis says, and what a dose is called: ``scale``.
    onset
        The dose at which the adapter turned, marked by a line; None: none is.
    """
    labels = [label for label in _SHAPES if (frame["label"] == label).any()]
    names = {label: f"{label} tokens" for label in labels}
    shown = list(names.values())
    data = frame.assign(
        name=frame["label"].map(names),
        written=frame["probability"].map(number),
        at=frame["dose"].map("{:g}".format),
    )
    base = alt.Chart(data).encode(
        x=_dose(frame, axis),
        y=alt.Y("probability:Q", title="probability of the next token", scale=alt.Scale(domain=(0, 1))),
        color=alt.Color(
            "name:N", scale=alt.Scale(domain=shown, range=[LABEL_COLOURS[label] for label in labels])
        ),
        tooltip=[
            alt.Tooltip("variant:N"),
            alt.Tooltip("at:N", title=one),
            alt.Tooltip("name:N", title="tokens"),
            alt.Tooltip("written:N", title="probability"),
            alt.Tooltip("n:Q", title="n tokens"),
        ],
    )
    points = base.mark_point(size=70, filled=True, opacity=1).encode(
        shape=alt.Shape("name:N", scale=alt.Scale(domain=shown, range=[_SHAPES[label] for label in labels]))
    )
    layers = [base.mark_line(strokeWidth=2), points]
    if onset is not None:
        layers.append(_onset(onset))
    return finish(alt.layer(*layers), height=430)


def _onset(dose: float) -> Any:
    """A dashed line where the adapter turned, with its word beside it."""
    at = alt.Chart(pd.DataFrame({"dose": [dose], "word": [f"onset, {dose:g}"]})).encode(x="dose:Q")
    word = at.mark_text(align="left", dx=5, color=ink(FAINT)).encode(y=alt.value(12), text="word:N")
    return alt.layer(at.mark_rule(strokeDash=[5, 4], strokeWidth=1.5, color=NEUTRAL), word)


def candidates(frame: pd.DataFrame, *, axis: str, one: str) -> Any:
    """Every candidate's probability at every dose, as cells.

    Parameters
    ----------
    frame
        Columns token, text, label, dose, probability; tokens in the order to draw them.
    axis, one
        As for `response`.
    """
    data = rows(frame).assign(
        at=frame["dose"].map("{:g}".format), short=frame["probability"].map("{:.2f}".format)
    )
    doses = [f"{dose:g}" for dose in sorted(frame["dose"].unique())]
    base = alt.Chart(data).encode(
        x=alt.X("at:N", sort=doses, title=axis, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("row:N", sort=list(dict.fromkeys(data["row"])), title=None, axis=label_axis()),
        tooltip=token_tooltip(alt.Tooltip("at:N", title=one)),
    )
    heat = cells(base, "probability", text="short", scheme="purples")
    return finish(heat, height=ROW * data["row"].nunique() + AXIS)


def feature(
    frame: pd.DataFrame, column: str, *, title: str, axis: str, one: str, colour: str = NEUTRAL
) -> Any:
    """One feature's activation or direct effect against dose.

    Parameters
    ----------
    frame
        Columns dose and `column`.
    column, title
        What is drawn, and what its axis says.
    axis, one
        As for `response`.
    colour
        Of line and points.
    """
    data = frame.assign(written=frame[column].map(number), at=frame["dose"].map("{:g}".format))
    base = alt.Chart(data).encode(
        x=_dose(frame, axis),
        y=alt.Y(f"{column}:Q", title=title, axis=alt.Axis(tickCount=4)),
        tooltip=[alt.Tooltip("at:N", title=one), alt.Tooltip("written:N", title=title)],
    )
    line = base.mark_line(strokeWidth=2, color=colour)
    points = base.mark_point(size=55, filled=True, opacity=1, color=colour)
    return finish(alt.layer(line, points), height=240)


def _dose(frame: pd.DataFrame, axis: str) -> alt.X:
    """The dose, with a tick at every one that was traced."""
    values = sorted(frame["dose"].unique().tolist())
    return alt.X("dose:Q", title=axis, axis=alt.Axis(values=values, format=".3~g", labelOverlap=True))
