"""Rates by variant and domain with intervals; training curves."""

import itertools
from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, GAP, LEGEND, LINE, ROW, finish, ink
from dashboard.style.text import interval, number
from dashboard.style.theme import FAINT, MORE_COLOURS, NEUTRAL, OUTCOME_COLOURS, OUTCOME_GLYPHS

_SHAPES: Final = (
    "circle",
    "cross",
    "M0,-1.5L.33,-.45L1.43,-.46L.54,.18L.88,1.21L0,.58L-.88,1.21L-.54,.18L-1.43,-.46L-.33,-.45Z",
    "M-.6,-1.2L0,-.6L.6,-1.2L1.2,-.6L.6,0L1.2,.6L.6,1.2L0,.6L-.6,1.2L-1.2,.6L-.6,0L-1.2,-.6Z",
    "triangle-down",
)
"""Of variants: disc, plus, star, cross and a triangle upside down, none of them an outcome's."""
_POINT: Final = 58
_COLUMNS: Final = 3
"""Of a legend of names that the model's makers chose: more of them do not fit beside each other."""


def intervals(
    frame: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    outcome: str,
    level: str,
    title: str | None = None,
) -> Any:
    """Rate of an outcome by domain and variant, with intervals.

    Parameters
    ----------
    frame
        Columns variant, domain, split, rate, low, high, n, n_situations; one split.
    colours
        Colour of each variant, in the order of the legend.
    outcome
        harmful, safe or neither: what the rate counts.
    level
        The intervals in words: ``95% interval``.
    title
        Above the chart.
    """
    return interval_dots(
        frame.dropna(subset=["rate"]),
        colours,
        row="domain",
        axis=f"{outcome} rate with its {level}",
        tooltip={
            "domain": "domain",
            "variant": "variant",
            "split": "situations",
            "written": f"{outcome} rate",
            "between": level,
            "n": "n samples",
            "n_situations": "n situations",
        },
        title=title,
    )


def interval_dots(
    frame: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    row: str,
    axis: str,
    tooltip: Mapping[str, str],
    title: str | None = None,
) -> Any:
    """Rates with intervals, variants beside one another in every row.

    Parameters
    ----------
    frame
        Columns variant, rate, low, high, `row`, and those of the tooltip.
    colours
        Colour of each variant, in the order of the legend.
    row
        Column that has a row of the chart each; `all` comes first.
    axis
        Title of the axis of rates.
    tooltip
        Titles by column; `written` and `between` are the rate and its interval in words.
    title
        Above the chart.
    """
    variants = [variant for variant in colours if (frame["variant"] == variant).any()]
    data = frame.assign(
        written=lambda d: d["rate"].map(number),
        between=lambda d: [interval(a, b) for a, b in zip(d["low"], d["high"], strict=True)],
    )
    rows = sorted(data[row].unique(), key=lambda name: (name != "all", name))
    base = alt.Chart(data).encode(
        y=alt.Y(f"{row}:N", title=None, sort=rows, axis=alt.Axis(labelFontSize=13, ticks=False)),
        yOffset=alt.YOffset("variant:N", sort=variants, scale=alt.Scale(paddingOuter=0.6)),
        color=variant_colour(variants, colours),
        tooltip=[alt.Tooltip(column, title=words) for column, words in tooltip.items()],
    )
    rule = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(
            "low:Q",
            title=axis,
            scale=alt.Scale(domain=(0, 1)),
            axis=alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1]),
        ),
        x2="high:Q",
    )
    point = base.mark_point(size=_POINT, filled=True, opacity=1).encode(
        x="rate:Q", shape=variant_shape(variants)
    )
    above = legend_height(len(variants)) + (0 if title is None else LEGEND)
    return finish(
        alt.layer(rule, point),
        height=(13 * len(variants) + 14) * len(rows) + AXIS + above,
        title=title,
    )


def _legend() -> alt.Legend:
    # Of marks without an outline: a rule's would be drawn around each, and as much larger as its shape is.
    return alt.Legend(columns=_COLUMNS, symbolSize=_POINT, symbolStrokeWidth=0)


def variant_colour(variants: list[str], colours: Mapping[str, str]) -> alt.Color:
    """Colour by variant, with a legend."""
    return alt.Color(
        "variant:N",
        sort=variants,
        scale=alt.Scale(domain=variants, range=[colours[v] for v in variants]),
        legend=_legend(),
    )


def variant_shape(variants: list[str]) -> alt.Shape:
    """Shape by variant, in the same legend: the second cue."""
    shapes = [_SHAPES[index % len(_SHAPES)] for index in range(len(variants))]
    return alt.Shape(
        "variant:N",
        sort=variants,
        scale=alt.Scale(domain=variants, range=shapes),
        legend=_legend(),
    )


def outcomes(frame: pd.DataFrame, variants: list[str]) -> Any:
    """Stacked shares of harmful, safe and neither by variant (and domain as rows).

    Parameters
    ----------
    frame
        Columns variant, domain, outcome, rate, n.
    """
    order = ["harmful", "neither", "safe"]
    data = frame.dropna(subset=["rate"]).assign(
        outcome_name=lambda d: d["outcome"].map(lambda o: f"{OUTCOME_GLYPHS[o]} {o}"),
        written=lambda d: d["rate"].map(number),
        order=lambda d: d["outcome"].map(order.index),
    )
    names = [f"{OUTCOME_GLYPHS[o]} {o}" for o in order]
    chart = (
        alt.Chart(data)
        .mark_bar(stroke=GAP, strokeWidth=1)
        .encode(
            x=alt.X(
                "rate:Q",
                title="share of samples",
                scale=alt.Scale(domain=(0, 1)),
                axis=alt.Axis(values=[0, 0.2, 0.4, 0.6, 0.8, 1]),
            ),
            y=alt.Y("variant:N", title=None, sort=variants, scale=alt.Scale(paddingInner=0.25)),
            color=alt.Color(
                "outcome_name:N",
                sort=names,
                scale=alt.Scale(domain=names, range=[OUTCOME_COLOURS[o] for o in order]),
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("domain:N"),
                alt.Tooltip("variant:N"),
                alt.Tooltip("outcome:N"),
                alt.Tooltip("written:N", title="share"),
                alt.Tooltip("n:Q", title="n samples"),
            ],
        )
    )
    return finish(chart, height=20 * len(variants) + AXIS + LEGEND)


def curve(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    title: str,
    by: str | None = None,
    colours: Mapping[str, str] | None = None,
) -> Any:
    """A training curve, one line a series.

    Parameters
    ----------
    frame
        Columns `x`, `y` and, where there are several series, `by`.
    x, y, by
        Names of columns.
    title
        Of the y axis.
    colours
        Colour of each series, where it has one of its own.
    """
    chart = (
        alt.Chart(frame)
        .mark_line(strokeWidth=1.8)
        .encode(
            x=alt.X(f"{x}:Q", title=x),
            y=alt.Y(f"{y}:Q", title=title, scale=alt.Scale(zero=False)),
            tooltip=[alt.Tooltip(f"{x}:Q"), alt.Tooltip(f"{y}:Q", format=".3g")],
        )
    )
    if by is None:
        return finish(chart.encode(color=alt.value(NEUTRAL)), height=260)
    series = [str(value) for value in frame[by].unique()]
    spare = itertools.cycle(MORE_COLOURS)
    shades = {name: (colours or {}).get(name) or next(spare) for name in series}
    return finish(
        chart.encode(
            color=alt.Color(
                f"{by}:N",
                scale=alt.Scale(domain=series, range=[shades[name] for name in series]),
                legend=alt.Legend(columns=_COLUMNS),
            ),
            strokeDash=alt.StrokeDash(f"{by}:N", legend=alt.Legend(columns=_COLUMNS)),
        ),
        height=260 + legend_height(len(series)),
    )


def legend_height(entries: int) -> int:
    """Of a legend in columns, pixels."""
    return LEGEND + LINE * (-(-entries // _COLUMNS) - 1)


def bars(frame: pd.DataFrame, *, x: str, y: str, title: str) -> Any:
    """One number by category, with the number written beside it."""
    data = frame.assign(written=frame[y].map(number))
    base = alt.Chart(data).encode(
        y=alt.Y(f"{x}:O", title=x), tooltip=[f"{x}:O", alt.Tooltip("written:N", title=title)]
    )
    top = max(float(data[y].max()), 1e-9)
    bar = base.mark_bar(color=NEUTRAL).encode(
        x=alt.X(f"{y}:Q", title=title, scale=alt.Scale(domain=(0, 1.15 * top)))
    )
    text = base.mark_text(align="left", dx=4, color=ink(FAINT)).encode(x=f"{y}:Q", text="written:N")
    return finish(alt.layer(bar, text), height=ROW * len(data) + AXIS)
