"""What an order predicted of each feature, against what an intervention then did."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import AXIS, finish
from dashboard.style.theme import NEUTRAL, STEERING_COLOURS


def scatter(frame: pd.DataFrame, *, score: str, unit: str) -> Any:
    """A point a feature, both axes through 0.

    Parameters
    ----------
    frame
        Columns feature (its name), predicted (the score), measured (effect, logits).
    score, unit
        Name and unit of what predicts.
    """
    x = alt.X(
        "predicted:Q", title=f"{score} on the other situations ({unit})", scale=_scale(frame["predicted"])
    )
    y = alt.Y("measured:Q", title="effect (logits)", scale=_scale(frame["measured"]))
    points = (
        alt.Chart(frame)
        .mark_point(filled=True, size=28, opacity=0.55, color=STEERING_COLOURS["after"])
        .encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("feature:N"),
                alt.Tooltip("predicted:Q", title=f"{score} ({unit})", format=".3g"),
                alt.Tooltip("measured:Q", title="effect (logits)", format=".3g"),
            ],
        )
    )
    zero = pd.DataFrame({"zero": [0.0]})
    across = alt.Chart(zero).mark_rule(color=NEUTRAL).encode(y=alt.Y("zero:Q"))
    down = alt.Chart(zero).mark_rule(color=NEUTRAL).encode(x=alt.X("zero:Q"))
    return finish(alt.layer(across, down, points), height=240 + AXIS)


def _scale(values: pd.Series) -> alt.Scale:
    """Most features do next to nothing: the middle is drawn wide."""
    sizes = np.abs(values[values.notna() & (values != 0)])
    typical = float(sizes.median()) if len(sizes) else 0.0
    return alt.Scale(type="symlog", constant=max(typical, 1e-6))
