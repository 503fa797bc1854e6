"""Circuits of behaviours: features by layer with their edges, and in which layers effects arise."""

from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd

from dashboard.charts.common import AXIS, GAP, LEGEND, ROW, cells, finish
from dashboard.style.text import number
from dashboard.style.theme import NEGATIVE, NEUTRAL, POSITIVE

_LAYER: Final = 64
"""Height of a layer, pixels."""
_SIGNS: Final = {"for the right answer": POSITIVE, "for the wrong answer": NEGATIVE}


def graph(features: pd.DataFrame, edges: pd.DataFrame) -> Any:
    """Features by layer, lowest layer at the bottom, and edges between them.

    Parameters
    ----------
    features
        Columns layer, index, called, total_effect, direct, frequency, supernode; few rows.
    edges
        Columns source_layer, source_index, target_layer, target_index, weight, frequency; those with both
        ends among the features are drawn.
    """
    nodes = features.sort_values(["layer", "total_effect"]).copy()
    by_layer = nodes.groupby("layer")["index"]
    nodes["x"] = (by_layer.cumcount() + 0.5) / by_layer.transform("size")
    nodes["is"] = np.where(nodes["total_effect"] >= 0, *_SIGNS)
    nodes["size"] = nodes["total_effect"].abs()
    layers = sorted(nodes["layer"].unique(), reverse=True)
    at = {
        (row.layer, row.index): row
        for row in nodes[["layer", "index", "x", "called"]].itertuples(index=False)
    }
    drawn = pd.DataFrame(
        [
            {
                "x": source.x,
                "layer": source.layer,
                "x2": target.x,
                "layer2": target.layer,
                "from": source.called,
                "to": target.called,
                "weight": row.weight,
                "frequency": row.frequency,
                "sign": "excites" if row.weight > 0 else "inhibits",
                "size": abs(row.weight),
            }
            for row in edges.itertuples(index=False)
            if (source := at.get((row.source_layer, row.source_index)))
            and (target := at.get((row.target_layer, row.target_index)))
        ],
        columns=["x", "layer", "x2", "layer2", "from", "to", "weight", "frequency", "sign", "size"],
    )
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, 1]))
    y = alt.Y("layer:O", sort=[int(each) for each in layers], title="layer")
    lines = (
        alt.Chart(drawn)
        .mark_rule(opacity=0.6, color=NEUTRAL)
        .encode(
            x=x,
            y=y,
            x2="x2:Q",
            y2="layer2:O",
            strokeWidth=alt.StrokeWidth("size:Q", scale=alt.Scale(range=[0.4, 4]), legend=None),
            strokeDash=alt.StrokeDash(
                "sign:N",
                scale=alt.Scale(domain=["excites", "inhibits"], range=[[1, 0], [4, 3]]),
                legend=alt.Legend(symbolType="stroke"),
            ),
            tooltip=[
                alt.Tooltip("from:N"),
                alt.Tooltip("to:N"),
                alt.Tooltip("weight:Q", title="mean weight", format=".3g"),
                alt.Tooltip("frequency:Q", title="of prompts", format=".0%"),
            ],
        )
    )
    points = (
        alt.Chart(nodes)
        .mark_circle(stroke=GAP, strokeWidth=1, opacity=1)
        .encode(
            x=x,
            y=y,
            size=alt.Size("size:Q", scale=alt.Scale(range=[40, 420]), legend=None),
            color=alt.Color("is:N", scale=alt.Scale(domain=list(_SIGNS), range=list(_SIGNS.values()))),
            tooltip=[
                alt.Tooltip("called:N", title="feature"),
                alt.Tooltip("total_effect:Q", title="total effect, logits", format=".3g"),
                alt.Tooltip("direct:Q", title="direct, logits", format=".3g"),
                alt.Tooltip("frequency:Q", title="of prompts", format=".0%"),
                alt.Tooltip("supernode:N", title="supernode"),
            ],
        )
    )
    return finish(alt.layer(lines, points), height=_LAYER * len(layers) + LEGEND)


def layers(features: pd.DataFrame) -> Any:
    """A cell a layer and behaviour: the sum of |mean total effect| over the circuit's features.

    Parameters
    ----------
    features
        Columns behaviour, layer, total_effect.
    """
    size = features.assign(size=features["total_effect"].abs())
    data = size.groupby(["behaviour", "layer"], as_index=False).agg(
        size=("size", "sum"), features=("size", "size")
    )
    data["written"] = [number(value) for value in data["size"]]
    ordered = sorted(data["layer"].unique(), reverse=True)
    base = alt.Chart(data).encode(
        x=alt.X("behaviour:N", title=None, axis=alt.Axis(labelAngle=-35, labelOverlap=False, ticks=False)),
        y=alt.Y("layer:O", sort=[int(each) for each in ordered], title="layer"),
        tooltip=[
            alt.Tooltip("behaviour:N"),
            alt.Tooltip("layer:O"),
            alt.Tooltip("written:N", title="sum of |total effect|, logits"),
            alt.Tooltip("features:Q"),
        ],
    )
    return finish(cells(base, "size", text="written", scheme="purples"), height=ROW * len(ordered) + AXIS)
