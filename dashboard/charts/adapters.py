"""What the adapter writes to: the change by cause, by layer, and on logits."""

from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.candidates import label_axis
from dashboard.charts.common import AXIS, GAP, LEGEND, LINE, cells, domain_with_zero, finish, ink
from dashboard.style.text import number
from dashboard.style.theme import CAUSE_COLOURS, NEUTRAL, PART_COLOURS, STRONG


def causes(frame: pd.DataFrame) -> Any:
    """Signed stacked bars: each candidate's change of logit by cause; the diamond is their sum.

    Parameters
    ----------
    frame
        Columns row (label of the candidate, its glyph first), token, cause (a name of
        `CAUSE_COLOURS`), change and total (logits); rows in the order to draw them.
    """
    order = list(dict.fromkeys(frame["row"]))
    data = frame.assign(
        written=[number(value, sign=True) for value in frame["change"]],
        total_written=[number(value, sign=True) for value in frame["total"]],
        place=frame["cause"].map(list(CAUSE_COLOURS).index),
    )
    y = alt.Y("row:N", sort=order, title=None, axis=label_axis(), scale=alt.Scale(paddingInner=0.3))
    tooltip = [
        alt.Tooltip("row:N", title="candidate"),
        alt.Tooltip("token:Q", title="token id"),
        alt.Tooltip("cause:N"),
        alt.Tooltip("written:N", title="change by it (logits)"),
        alt.Tooltip("total_written:N", title="whole change (logits)"),
    ]
    bars = (
        alt.Chart(data)
        .mark_bar(stroke=GAP, strokeWidth=1)
        .encode(
            y=y,
            x=alt.X("change:Q", stack="zero", title="change of the logit, adapted minus base (logits)"),
            color=alt.Color(
                "cause:N",
                sort=list(CAUSE_COLOURS),
                scale=alt.Scale(domain=list(CAUSE_COLOURS), range=list(CAUSE_COLOURS.values())),
                legend=alt.Legend(columns=3, labelLimit=160),
            ),
            order=alt.Order("place:Q"),
            tooltip=tooltip,
        )
    )
    whole = alt.Chart(data.drop_duplicates("row")).encode(y=y, x="total:Q", tooltip=[tooltip[0], tooltip[-1]])
    sums = whole.mark_point(
        shape="diamond", filled=True, size=70, color=ink(STRONG), stroke=GAP, strokeWidth=1.5, opacity=1
    )
    zero = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=NEUTRAL).encode(x="x:Q")
    return finish(alt.layer(bars, zero, sums), height=20 * len(order) + AXIS + LEGEND + 2 * LINE)


def layers(frame: pd.DataFrame) -> Any:
    """How much each part and layer writes on the features of each layer behind it.

    Parameters
    ----------
    frame
        Columns origin (part and layer in words), layer (written to), size (sum of absolute
        direct effects, pre-activation), n (features reached).
    """
    data = frame.assign(written=frame["size"].map(number))
    origins = list(dict.fromkeys(frame["origin"]))
    base = alt.Chart(data).encode(
        x=alt.X("layer:O", title="layer of the features written to", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("origin:N", sort=origins, title=None),
        tooltip=[
            alt.Tooltip("origin:N", title="adapter"),
            alt.Tooltip("layer:O", title="features of layer"),
            alt.Tooltip("written:N", title="sum of |write| (pre-activation)"),
            alt.Tooltip("n:Q", title="n features"),
        ],
    )
    heat = cells(base, "size", text="written", scheme="oranges")
    return finish(heat, height=24 * len(origins) + AXIS)


def logits(frame: pd.DataFrame, *, title: str) -> Any:
    """What each layer's adapter nodes do to a logit, by part.

    Parameters
    ----------
    frame
        Columns part, layer, effect (logits).
    title
        Of the x axis.
    """
    parts = [part for part in PART_COLOURS if (frame["part"] == part).any()]
    data = frame.assign(
        written=[number(value, sign=True) for value in frame["effect"]],
        row=[f"L{layer}" for layer in frame["layer"]],
    )
    rows = [f"L{layer}" for layer in sorted(frame["layer"].unique())]
    span = domain_with_zero(float(frame["effect"].min()) * 1.1, float(frame["effect"].max()) * 1.1)
    bar = (
        alt.Chart(data)
        .mark_bar()
        .encode(
            y=alt.Y("row:N", sort=rows, title=None, axis=alt.Axis(ticks=False)),
            yOffset=alt.YOffset("part:N", sort=parts),
            x=alt.X("effect:Q", title=title, scale=alt.Scale(domain=span)),
            color=alt.Color(
                "part:N",
                sort=parts,
                scale=alt.Scale(domain=parts, range=[PART_COLOURS[part] for part in parts]),
            ),
            tooltip=[
                alt.Tooltip("row:N", title="layer"),
                alt.Tooltip("part:N"),
                alt.Tooltip("written:N", title=title),
            ],
        )
    )
    return finish(bar, height=14 * len(rows) * len(parts) + AXIS + LEGEND)
