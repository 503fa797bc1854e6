"""How misaligned variants are: answers by their scores, thresholds, judges, and features by layer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import AXIS, GAP, LEGEND, LINE, ROW, finish, ink
from dashboard.charts.rates import legend_height, variant_colour, variant_shape
from dashboard.style.text import number
from dashboard.style.theme import NEGATIVE, NEUTRAL, POSITIVE, STRONG

PICK: Final = "pick"
"""Name of the selection of `answers`: a click gives the answer's id."""

_POINT: Final = 34
_PICKED: Final = 240
_SPREAD: Final = 1.6
_EDGE: Final = 2.5
_SCORES: Final = list(range(0, 101, 20))


def answers(
    frame: pd.DataFrame, colours: Mapping[str, str], *, misaligned_below: float, coherent_above: float
) -> Any:
    """A point an answer, aligned by coherent, with both thresholds; a click picks one.

    Scores that are alike would lie on one another: each point is moved a little, over no threshold.

    Parameters
    ----------
    frame
        Columns id, variant, question, form, kind, aligned, coherent; scored answers only.
    colours
        Colour of each variant, in the order of the legend.
    misaligned_below, coherent_above
        The thresholds.
    """
    variants = [variant for variant in colours if (frame["variant"] == variant).any()]
    data = frame[["id", "variant", "question", "form", "kind"]].assign(
        x=spread(frame["aligned"].to_numpy(), misaligned_below, seed=1),
        y=spread(frame["coherent"].to_numpy(), coherent_above, seed=2),
        aligned=frame["aligned"].map(number),
        coherent=frame["coherent"].map(number),
    )
    pick = alt.selection_point(name=PICK, fields=["id"], on="click", clear=False, empty=False)
    points = (
        alt.Chart(data)
        .mark_point(filled=True, opacity=0.6, cursor="pointer")
        .encode(
            x=_score("x", "aligned"),
            y=_score("y", "coherent"),
            color=variant_colour(variants, colours),
            shape=variant_shape(variants),
            size=alt.condition(pick, alt.value(_PICKED), alt.value(_POINT)),
            tooltip=[
                *(alt.Tooltip(f"{name}:N") for name in ("variant", "question", "form")),
                alt.Tooltip("kind:N", title="is"),
                *(alt.Tooltip(f"{name}:N", title=f"{name}, 0 to 100") for name in ("aligned", "coherent")),
            ],
        )
        .add_params(pick)
    )
    lines = pd.DataFrame({"misaligned below": [misaligned_below], "coherent above": [coherent_above]})
    rule = alt.Chart(lines).mark_rule(strokeDash=[5, 4], color=NEUTRAL)
    down = rule.encode(x="misaligned below:Q", tooltip="misaligned below:Q")
    across = rule.encode(y="coherent above:Q", tooltip="coherent above:Q")
    return finish(alt.layer(down, across, points), height=360 + AXIS + legend_height(len(variants)))


def spread(scores: np.ndarray, threshold: float, *, seed: int) -> np.ndarray:
    """Scores moved by at most 1.6 to either side, none over a threshold or onto it."""
    moved = scores + np.random.default_rng(seed).uniform(-_SPREAD, _SPREAD, len(scores))
    nearest = 0.1
    return np.select(
        [scores < threshold, scores > threshold],
        [np.minimum(moved, threshold - nearest), np.maximum(moved, threshold + nearest)],
        default=scores,
    )


def _score(column: str, title: str) -> alt.X | alt.Y:
    channel = alt.X if column == "x" else alt.Y
    return channel(
        f"{column}:Q",
        title=f"{title} (0 to 100)",
        scale=alt.Scale(domain=(-_EDGE, 100 + _EDGE), nice=False),
        axis=alt.Axis(values=_SCORES),
    )


def distribution(frame: pd.DataFrame, scales: Sequence[str]) -> Any:
    """What a judge gave each number: a disc as large as its probability, a row a scale.

    Parameters
    ----------
    frame
        Columns scale, number, probability.
    scales
        In the order of the rows.
    """
    chart = (
        alt.Chart(frame.assign(written=frame["probability"].map(number)))
        .mark_circle(color=NEUTRAL, opacity=0.75)
        .encode(
            x=alt.X("number:Q", title="number (0 to 100)", scale=alt.Scale(domain=(-3, 103), nice=False)),
            y=alt.Y("scale:N", sort=list(scales), title=None),
            size=alt.Size("probability:Q", scale=alt.Scale(domain=(0, 1), range=[4, 340]), legend=None),
            tooltip=[
                alt.Tooltip("scale:N"),
                alt.Tooltip("number:Q"),
                alt.Tooltip("written:N", title="probability"),
            ],
        )
    )
    return finish(chart, height=(ROW + 8) * len(scales) + AXIS)


def surface(frame: pd.DataFrame, *, misaligned_below: float, coherent_above: float, counted: str) -> Any:
    """Rate of misaligned answers by both thresholds, those of params.yaml outlined.

    Parameters
    ----------
    frame
        Columns aligned_below, coherent_above, rate (NaN: no answer is counted).
    misaligned_below, coherent_above
        The thresholds that hold elsewhere.
    counted
        What the rate is a share of, in words.
    """
    data = frame.dropna(subset=["rate"]).assign(written=lambda d: d["rate"].map(number))
    base = alt.Chart(data).encode(
        x=alt.X("coherent_above:O", title="coherent above", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=alt.Y("aligned_below:O", title="misaligned below", sort="descending"),
    )
    rate = f"misaligned, of {counted}"
    cells = base.mark_rect().encode(
        color=alt.Color(
            "rate:Q",
            title="rate",
            scale=alt.Scale(scheme={"name": "oranges"}, domain=(0, 1)),
            legend=alt.Legend(gradientLength=160),
        ),
        tooltip=[
            alt.Tooltip("aligned_below:Q", title="misaligned below"),
            alt.Tooltip("coherent_above:Q", title="coherent above"),
            alt.Tooltip("written:N", title=rate),
        ],
    )
    held = (data["aligned_below"] == misaligned_below) & (data["coherent_above"] == coherent_above)
    outlined = (
        base.properties(data=data[held])
        .mark_rect(filled=False, strokeWidth=3)
        .encode(stroke=alt.value(ink(STRONG)))
    )
    return finish(alt.layer(cells, outlined), height=330 + AXIS + LEGEND)


def bands(frame: pd.DataFrame, colours: Mapping[str, str], *, axis: str) -> Any:
    """Lowest to highest rate of every variant over judges and forms, and each of them.

    Parameters
    ----------
    frame
        Columns variant, judge, form, rate, n.
    colours
        Colour of each variant, in the order of the rows.
    axis
        Title of the axis of rates.
    """
    variants = [variant for variant in colours if (frame["variant"] == variant).any()]
    data = frame.assign(reading=frame["judge"] + ", " + frame["form"], written=frame["rate"].map(number))
    readings = list(dict.fromkeys(data["reading"]))
    x = alt.X("rate:Q", title=axis, scale=alt.Scale(domain=(0, 1)))
    base = alt.Chart(data).encode(y=alt.Y("variant:N", title=None, sort=variants))
    band = base.mark_rule(strokeWidth=9, opacity=0.5).encode(
        x=alt.X("min(rate):Q", title=axis, scale=alt.Scale(domain=(0, 1))),
        x2="max(rate):Q",
        color=alt.Color(
            "variant:N",
            sort=variants,
            scale=alt.Scale(domain=variants, range=[colours[v] for v in variants]),
            legend=None,
        ),
    )
    points = base.mark_point(size=60, strokeWidth=1.6, color=NEUTRAL).encode(
        x=x,
        shape=alt.Shape("reading:N", sort=readings, legend=alt.Legend(columns=3)),
        tooltip=[
            *(alt.Tooltip(f"{name}:N") for name in ("variant", "judge", "form")),
            alt.Tooltip("written:N", title="rate"),
            alt.Tooltip("n:Q", title="n answers"),
        ],
    )
    height = (ROW + 6) * len(variants) + AXIS + legend_height(len(readings))
    return finish(alt.layer(band, points), height=height)


def by_layer(frame: pd.DataFrame, layers: int) -> Any:
    """Features found in every layer, by the side on which they fire more.

    Parameters
    ----------
    frame
        Columns layer, side (`more in misaligned`, `more in aligned`), features (a count).
    layers
        How many there are.
    """
    sides = ["more in misaligned", "more in aligned"]
    chart = (
        alt.Chart(frame)
        .mark_bar(stroke=GAP, strokeWidth=1)
        .encode(
            x=alt.X(
                "layer:O",
                title="layer",
                scale=alt.Scale(domain=list(range(layers))),
                axis=alt.Axis(labelAngle=0, labelOverlap=True),
            ),
            y=alt.Y("features:Q", title="features found", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("side:N", sort=sides, scale=alt.Scale(domain=sides, range=[POSITIVE, NEGATIVE])),
            tooltip=[alt.Tooltip("layer:O"), alt.Tooltip("side:N", title="fires"), "features:Q"],
        )
    )
    return finish(chart, height=150 + AXIS + LEGEND)


def judged(line: pd.DataFrame, points: pd.DataFrame, colours: Mapping[str, str], *, observed: str) -> Any:
    """The rate that a judge of known errors would report for every true rate, and variants on it.

    Parameters
    ----------
    line
        Columns true, observed.
    points
        Columns variant, true, observed.
    colours
        Colour of each variant, in the order of the legend.
    observed
        Title of the axis of what is reported.
    """
    variants = [variant for variant in colours if (points["variant"] == variant).any()]
    unit = alt.Scale(domain=(0, 1))
    same = pd.DataFrame({"true": [0.0, 1.0], "observed": [0.0, 1.0]})
    x = alt.X("true:Q", title="true rate", scale=unit)
    y = alt.Y("observed:Q", title=observed, scale=unit)
    faultless = alt.Chart(same).mark_line(strokeDash=[4, 4], color=NEUTRAL).encode(x=x, y=y)
    erring = alt.Chart(line).mark_line(color=NEUTRAL).encode(x=x, y=y)
    marks = (
        alt.Chart(points.assign(written=points["true"].map(number), told=points["observed"].map(number)))
        .mark_point(filled=True, size=70, opacity=1)
        .encode(
            x=x,
            y=y,
            color=variant_colour(variants, colours),
            shape=variant_shape(variants),
            tooltip=[
                alt.Tooltip("variant:N"),
                alt.Tooltip("told:N", title="reported"),
                alt.Tooltip("written:N", title="would be true"),
            ],
        )
    )
    return finish(
        alt.layer(faultless, erring, marks), height=220 + AXIS + legend_height(len(variants)) + LINE
    )
