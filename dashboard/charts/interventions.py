"""What interventions do: effects beside controls, before and after, by position, predicted, alike."""

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, GAP, LEGEND, LINE, ROW, domain_with_zero, finish
from dashboard.style.theme import ADAPTED, BASE, HARMFUL, MIDDLE, MORE_COLOURS, NEGATIVE, NEUTRAL, POSITIVE
from dashboard.style.theme import STEERING_COLOURS as STEERING

_LOGITS: Final = "effect on evil minus safe (logits)"
_NAMES: Final = 150
"""Width of features' names beside a chart, pixels."""
_FROZEN_COLOURS: Final = (BASE, MORE_COLOURS[0], MORE_COLOURS[2], ADAPTED, NEUTRAL)
_SHAPES: Final = ("circle", "square", "triangle-up", "diamond", "cross")


def effects(frame: pd.DataFrame, *, axis: str = _LOGITS) -> Any:
    """A point a trial with its interval, and the mean of its controls.

    Parameters
    ----------
    frame
        Columns row (its name), effect, low, high (logits; NaN: no interval), control_mean, verdict, q.
    axis
        What the effect is on.
    """
    order = list(dict.fromkeys(frame["row"]))
    y = alt.Y(
        "row:N", sort=order, title=None, axis=alt.Axis(ticks=False, labelLimit=_NAMES, labelOverlap=False)
    )
    base = alt.Chart(frame).encode(
        y=y,
        tooltip=[
            alt.Tooltip("row:N", title="feature"),
            alt.Tooltip("effect:Q", title="effect (logits)", format=".3g"),
            alt.Tooltip("low:Q", title="interval, lower", format=".3g"),
            alt.Tooltip("high:Q", title="interval, upper", format=".3g"),
            alt.Tooltip("control_mean:Q", title="controls, mean", format=".3g"),
            alt.Tooltip("q:Q", format=".2g"),
            alt.Tooltip("verdict:N"),
        ],
    )
    colour = alt.condition(
        alt.datum.verdict == "acts", alt.value(STEERING["after"]), alt.value(STEERING["before"])
    )
    spans = base.mark_rule(opacity=0.6).encode(x=alt.X("low:Q", title=axis), x2="high:Q", color=colour)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=alt.X("effect:Q", title=axis), color=colour
    )
    controls = base.mark_tick(thickness=3, size=14, color=STEERING["random"]).encode(
        x=alt.X("control_mean:Q", title=axis)
    )
    return finish(alt.layer(_rule("x"), spans, controls, points), height=ROW * max(1, len(order)) + AXIS)


def before_after(frame: pd.DataFrame) -> Any:
    """A point a prompt and trial, baseline against intervened; what lies off the diagonal moved.

    Parameters
    ----------
    frame
        Columns feature, setting, situation, baseline, intervened, effect, control_mean, relative (NaN: none),
        before, after (activations), p, flip.
    """
    data = frame.assign(sign=frame["flip"].map({True: "sign flips", False: "sign stays"}))
    ends = pd.concat([frame["baseline"], frame["intervened"]])
    diagonal = pd.DataFrame({"at": [float(ends.min()), float(ends.max())]})
    line = (
        alt.Chart(diagonal)
        .mark_line(color=NEUTRAL, strokeDash=[3, 3])
        .encode(x=alt.X("at:Q", title="baseline (logits)"), y=alt.Y("at:Q", title="intervened (logits)"))
    )
    points = (
        alt.Chart(data)
        .mark_point(filled=True, size=40, opacity=0.7)
        .encode(
            x=alt.X("baseline:Q", title="baseline (logits)"),
            y=alt.Y("intervened:Q", title="intervened (logits)"),
            color=alt.Color(
                "sign:N",
                scale=alt.Scale(domain=["sign stays", "sign flips"], range=[STEERING["after"], HARMFUL]),
            ),
            shape=alt.Shape(
                "sign:N",
                scale=alt.Scale(domain=["sign stays", "sign flips"], range=["circle", "triangle-up"]),
            ),
            tooltip=[
                alt.Tooltip("feature:N"),
                alt.Tooltip("setting:N"),
                alt.Tooltip("situation:N"),
                alt.Tooltip("baseline:Q", format=".3g"),
                alt.Tooltip("intervened:Q", format=".3g"),
                alt.Tooltip("effect:Q", title="effect (logits)", format=".3g"),
                alt.Tooltip("relative:Q", title="by |baseline|", format=".0%"),
                alt.Tooltip("control_mean:Q", title="controls, mean", format=".3g"),
                alt.Tooltip("p:Q", title="p against controls", format=".2g"),
                alt.Tooltip("before:Q", title="activation before", format=".3g"),
                alt.Tooltip("after:Q", title="activation after", format=".3g"),
            ],
        )
    )
    return finish(alt.layer(_rule("x"), _rule("y"), line, points), height=260 + AXIS + LEGEND)


def positions(frame: pd.DataFrame) -> Any:
    """A cell a feature and position, counted from the prompt's end.

    Parameters
    ----------
    frame
        Columns feature, layer, from_end, effect, control_mean, n_acting, q.
    """
    places = sorted(frame["from_end"].unique(), reverse=True)
    data = frame.assign(place=[_place(place) for place in frame["from_end"]])
    x = alt.X(
        "place:N",
        sort=[_place(place) for place in places],
        title="tokens before the prompt's last",
        axis=alt.Axis(labelAngle=0, ticks=False),
    )
    told = [
        alt.Tooltip("place:N", title="position from the end"),
        alt.Tooltip("control_mean:Q", title="controls, mean", format=".3g"),
        alt.Tooltip("n_acting:Q", title="prompts where it is active"),
        alt.Tooltip("q:Q", format=".2g"),
    ]
    return _heat(data, x=x, told=told, below=AXIS)


def profiles(frame: pd.DataFrame) -> Any:
    """A cell a feature and prompt; features that do alike stand together.

    Parameters
    ----------
    frame
        Columns feature (in order), cluster, situation, domain, effect, control_mean.
    """
    data = frame.assign(kind=[f"cluster {one}" if one else "does nothing" for one in frame["cluster"]])
    order = list(dict.fromkeys(data.sort_values(["domain", "situation"])["situation"]))
    return _heat(
        data,
        x=alt.X("situation:N", sort=order, title="situation", axis=alt.Axis(labels=False, ticks=False)),
        told=[
            alt.Tooltip("kind:N", title="alike"),
            alt.Tooltip("situation:N"),
            alt.Tooltip("domain:N"),
            alt.Tooltip("control_mean:Q", title="controls, mean", format=".3g"),
        ],
        below=AXIS // 2,
    )


def parts(frame: pd.DataFrame) -> Any:
    """A point with its interval a part of the model.

    Parameters
    ----------
    frame
        Columns part (in order), share, low, high (of the difference; NaN: no interval).
    """
    axis = alt.Axis(ticks=False, labelLimit=2 * _NAMES)
    y = alt.Y("part:N", sort=list(frame["part"]), title=None, axis=axis)
    told = [
        alt.Tooltip("part:N"),
        *(
            alt.Tooltip(f"{name}:Q", title=title, format=".1%")
            for name, title in (("share", "share"), ("low", "lower"), ("high", "upper"))
        ),
    ]
    x = alt.X("share:Q", title="share of the difference", axis=alt.Axis(format="%"))
    base = alt.Chart(frame).encode(y=y, tooltip=told)
    whole = alt.Chart(pd.DataFrame({"share": [0.0, 1.0]})).mark_rule(color=NEUTRAL, strokeDash=[3, 3])
    spans = base.mark_rule(color=POSITIVE, strokeWidth=2).encode(x=alt.X("low:Q", title=None), x2="high:Q")
    points = base.mark_point(filled=True, size=70, color=POSITIVE, opacity=1.0).encode(x=x)
    return finish(alt.layer(whole.encode(x="share:Q"), spans, points), height=ROW * max(1, len(frame)) + AXIS)


def agreement(frame: pd.DataFrame, *, score: str, unit: str, frozen: Sequence[str]) -> Any:
    """A point a prompt, feature and what is frozen: predicted against measured.

    Parameters
    ----------
    frame
        Columns feature, situation, frozen, predicted, effect.
    score, unit
        Name and unit of what predicts.
    frozen
        In the order of the legend.
    """
    scale = alt.Scale(domain=list(frozen), range=list(_FROZEN_COLOURS[: len(frozen)]))
    shapes = alt.Scale(domain=list(frozen), range=list(_SHAPES[: len(frozen)]))
    title = f"effect as {score} has it ({unit})"
    points = (
        alt.Chart(frame)
        .mark_point(filled=True, size=36, opacity=0.6)
        .encode(
            x=alt.X("predicted:Q", title=title),
            y=alt.Y("effect:Q", title="measured (logits)"),
            color=alt.Color("frozen:N", scale=scale, legend=alt.Legend(columns=5)),
            shape=alt.Shape("frozen:N", scale=shapes, legend=alt.Legend(columns=5)),
            tooltip=[
                alt.Tooltip("feature:N"),
                alt.Tooltip("frozen:N"),
                alt.Tooltip("situation:N"),
                alt.Tooltip("predicted:Q", title=f"{score} ({unit})", format=".3g"),
                alt.Tooltip("effect:Q", title="measured (logits)", format=".3g"),
            ],
        )
    )
    return finish(alt.layer(_rule("x"), _rule("y"), points), height=260 + AXIS + LEGEND)


def _heat(data: pd.DataFrame, *, x: alt.X, told: list[alt.Tooltip], below: int) -> Any:
    features = list(dict.fromkeys(data["feature"]))
    low, high = domain_with_zero(float(data["effect"].min()), float(data["effect"].max()))
    scale = alt.Scale(domain=[low, 0.0, high], range=[NEGATIVE, MIDDLE, POSITIVE])
    axis = alt.Axis(ticks=False, labelLimit=_NAMES, labelOverlap=False)
    legend = alt.Legend(title="effect (logits)", gradientLength=160)
    cells = (
        alt.Chart(data)
        .mark_rect(stroke=GAP, strokeWidth=1)
        .encode(
            x=x,
            y=alt.Y("feature:N", sort=features, title=None, axis=axis),
            color=alt.Color("effect:Q", scale=scale, legend=legend),
            tooltip=[
                alt.Tooltip("feature:N"),
                *told,
                alt.Tooltip("effect:Q", title="effect (logits)", format=".3g"),
            ],
        )
    )
    return finish(cells, height=ROW * max(1, len(features)) + below + LEGEND + LINE)


def _place(from_end: int) -> str:
    return "last" if from_end == 0 else str(from_end)


def _rule(axis: str) -> Any:
    """A line at 0."""
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=NEUTRAL, opacity=0.6)
    return zero.encode(x=alt.X("zero:Q")) if axis == "x" else zero.encode(y=alt.Y("zero:Q"))
