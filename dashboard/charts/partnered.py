"""Behaviours along partners: what carries a partner's effect, and experiments side by side."""

from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, GAP, LEGEND, LINE, ROW, domain_with_zero, finish
from dashboard.style.theme import MIDDLE, NEGATIVE, POSITIVE

_WORDS: Final = 190
"""Width of names beside the chart, pixels."""


def layer_shares(frame: pd.DataFrame) -> Any:
    """A cell a part and layer, its share of what the partner changes.

    Parameters
    ----------
    frame
        Columns row (behaviour and part), layer, share, low, high, flips (shares; NaN: not known), n_prompts,
        n_flips.
    """
    tooltip = [
        alt.Tooltip("row:N", title="what is the partner's"),
        alt.Tooltip("layer:N"),
        alt.Tooltip("share:Q", title="share of its change", format=".1%"),
        alt.Tooltip("low:Q", title="interval, lower", format=".1%"),
        alt.Tooltip("high:Q", title="interval, upper", format=".1%"),
        alt.Tooltip("flips:Q", title="share of its flips", format=".0%"),
        alt.Tooltip("n_prompts:Q", title="prompts"),
        alt.Tooltip("n_flips:Q", title="of these flip"),
    ]
    legend = alt.Legend(title="share", format="%", gradientLength=160)
    return finish(_cells(frame, "layer", "share", "layer", legend, tooltip), height=_height(frame) + LINE)


def experiments(frame: pd.DataFrame) -> Any:
    """A cell a feature and experiment, its mean effect.

    Parameters
    ----------
    frame
        Columns row (the feature, and on whose prompts), experiment, whose, effect, low, high (logits; NaN: no
        interval), verdict.
    """
    tooltip = [
        alt.Tooltip("row:N", title="feature"),
        alt.Tooltip("experiment:N"),
        alt.Tooltip("whose:N"),
        alt.Tooltip("effect:Q", title="effect (logits)", format=".3g"),
        alt.Tooltip("low:Q", title="interval, lower", format=".3g"),
        alt.Tooltip("high:Q", title="interval, upper", format=".3g"),
        alt.Tooltip("verdict:N", title="it"),
    ]
    legend = alt.Legend(title="effect (logits)", gradientLength=160)
    return finish(_cells(frame, "experiment", "effect", None, legend, tooltip), height=_height(frame))


def _cells(
    frame: pd.DataFrame,
    across: str,
    value: str,
    title: str | None,
    legend: alt.Legend,
    tooltip: list[alt.Tooltip],
) -> Any:
    """A cell a row and a value of `across`, on one scale about 0; both in the frame's order."""
    rows, columns = (list(dict.fromkeys(frame[name])) for name in ("row", across))
    low, high = domain_with_zero(float(frame[value].min()), float(frame[value].max()))
    scale = alt.Scale(domain=[low, 0.0, high], range=[NEGATIVE, MIDDLE, POSITIVE])
    named = alt.Axis(ticks=False, labelLimit=_WORDS, labelOverlap=False)
    return (
        alt.Chart(frame)
        .mark_rect(stroke=GAP, strokeWidth=1)
        .encode(
            x=alt.X(f"{across}:N", sort=columns, title=title, axis=alt.Axis(labelAngle=0, ticks=False)),
            y=alt.Y("row:N", sort=rows, title=None, axis=named),
            color=alt.Color(f"{value}:Q", scale=scale, legend=legend),
            tooltip=tooltip,
        )
    )


def _height(frame: pd.DataFrame) -> int:
    height: int = ROW * max(1, frame["row"].nunique()) + AXIS + LEGEND
    return height
