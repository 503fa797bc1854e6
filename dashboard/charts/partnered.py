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
    rows, layers = (list(dict.fromkeys(frame[name])) for name in ("row", "layer"))
    low, high = domain_with_zero(float(frame["share"].min()), float(frame["share"].max()))
    scale = alt.Scale(domain=[low, 0.0, high], range=[NEGATIVE, MIDDLE, POSITIVE])
    axis = alt.Axis(ticks=False, labelLimit=_WORDS, labelOverlap=False)
    cells = (
        alt.Chart(frame)
        .mark_rect(stroke=GAP, strokeWidth=1)
        .encode(
            x=alt.X("layer:N", sort=layers, title="layer", axis=alt.Axis(labelAngle=0, ticks=False)),
            y=alt.Y("row:N", sort=rows, title=None, axis=axis),
            color=alt.Color(
                "share:Q", scale=scale, legend=alt.Legend(title="share", format="%", gradientLength=160)
            ),
            tooltip=[
                alt.Tooltip("row:N", title="what is the partner's"),
                alt.Tooltip("layer:N"),
                alt.Tooltip("share:Q", title="share of its change", format=".1%"),
                alt.Tooltip("low:Q", title="interval, lower", format=".1%"),
                alt.Tooltip("high:Q", title="interval, upper", format=".1%"),
                alt.Tooltip("flips:Q", title="share of its flips", format=".0%"),
                alt.Tooltip("n_prompts:Q", title="prompts"),
                alt.Tooltip("n_flips:Q", title="of these flip"),
            ],
        )
    )
    return finish(cells, height=ROW * max(1, len(rows)) + AXIS + LEGEND + LINE)


def experiments(frame: pd.DataFrame) -> Any:
    """A cell a feature and experiment, its mean effect.

    Parameters
    ----------
    frame
        Columns row (the feature, and on whose prompts), experiment, whose, effect, low, high (logits; NaN: no
        interval), verdict.
    """
    rows, kinds = (list(dict.fromkeys(frame[name])) for name in ("row", "experiment"))
    low, high = domain_with_zero(float(frame["effect"].min()), float(frame["effect"].max()))
    scale = alt.Scale(domain=[low, 0.0, high], range=[NEGATIVE, MIDDLE, POSITIVE])
    axis = alt.Axis(ticks=False, labelLimit=_WORDS, labelOverlap=False)
    cells = (
        alt.Chart(frame)
        .mark_rect(stroke=GAP, strokeWidth=1)
        .encode(
            x=alt.X("experiment:N", sort=kinds, title=None, axis=alt.Axis(labelAngle=0, ticks=False)),
            y=alt.Y("row:N", sort=rows, title=None, axis=axis),
            color=alt.Color(
                "effect:Q", scale=scale, legend=alt.Legend(title="effect (logits)", gradientLength=160)
            ),
            tooltip=[
                alt.Tooltip("row:N", title="feature"),
                alt.Tooltip("experiment:N"),
                alt.Tooltip("whose:N"),
                alt.Tooltip("effect:Q", title="effect (logits)", format=".3g"),
                alt.Tooltip("low:Q", title="interval, lower", format=".3g"),
                alt.Tooltip("high:Q", title="interval, upper", format=".3g"),
                alt.Tooltip("verdict:N", title="it"),
            ],
        )
    )
    return finish(cells, height=ROW * max(1, len(rows)) + AXIS + LEGEND)
