"""By how much right answers are more probable than wrong ones, over prompts."""

from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import AXIS, GAP, finish
from dashboard.style.text import number
from dashboard.style.theme import NEUTRAL

_WIDTH: Final = 0.5
"""Of a bin, nats a token."""


def differences(values: np.ndarray, *, success: float, colour: str) -> Any:
    """Histogram of differences, with a rule at the threshold; no bin lies on both sides of it.

    Parameters
    ----------
    values
        (prompt,) nats a token.
    success
        The threshold.
    colour
        Of bars above it.
    """
    bins = np.floor((values - success) / _WIDTH)
    # A prompt succeeds above the threshold: one that lies on it belongs to the bin below.
    bins -= values == success
    counted = pd.Series(bins).value_counts().sort_index()
    low = success + counted.index.to_numpy(float) * _WIDTH
    data = pd.DataFrame({"low": low, "high": low + _WIDTH, "prompts": counted.to_numpy()})
    data["is"] = np.where(data["low"] >= success, "succeed", "do not")
    data["between"] = [f"{number(a)} to {number(b)}" for a, b in zip(data["low"], data["high"], strict=True)]
    bars = (
        alt.Chart(data)
        .mark_rect(stroke=GAP, strokeWidth=1)
        .encode(
            x=alt.X("low:Q", title="nats a token", scale=alt.Scale(nice=False)),
            x2="high:Q",
            y=alt.Y("prompts:Q", title="prompts", axis=alt.Axis(tickMinStep=1)),
            y2=alt.Y2Datum(0),
            color=alt.Color(
                "is:N", scale=alt.Scale(domain=["succeed", "do not"], range=[colour, NEUTRAL]), legend=None
            ),
            tooltip=[alt.Tooltip("between:N", title="difference"), "prompts:Q", alt.Tooltip("is:N")],
        )
    )
    at = pd.DataFrame({"threshold": [success]})
    rule = (
        alt.Chart(at)
        .mark_rule(strokeDash=[4, 4], strokeWidth=1.5, color=NEUTRAL)
        .encode(x="threshold:Q", tooltip=[alt.Tooltip("threshold:Q", title="succeeds above")])
    )
    return finish(alt.layer(bars, rule), height=90 + AXIS)
