"""What LoRA components do at each token: a heat map over layer and position."""

from typing import Any

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, GAP, LEGEND, ROW, finish
from dashboard.style.text import number
from dashboard.style.theme import MIDDLE, NEGATIVE, POSITIVE

_TOKENS = 90
"""Height of the tokens below, which stand upright, pixels."""


def tokens(frame: pd.DataFrame, *, value: str, title: str, told: dict[str, str]) -> Any:
    """A cell a layer and token.

    Parameters
    ----------
    frame
        Columns layer, position, token (its text, white space visible), `value`, and those of `told`.
    value
        Column that is shaded: signed on the diverging scale, else from 0. The first token, on which
        attention rests, has often the largest by far: the scale ends with the others.
    title
        Of the value, with its unit.
    told
        Columns that hovering tells beside layer, token and value, with their titles.
    """
    columns = {value: title, **told}
    data = frame.assign(
        place=[
            f"{position} {token}" for position, token in zip(frame["position"], frame["token"], strict=True)
        ],
        row=[f"L{layer}" for layer in frame["layer"]],
        **{f"{name}_written": [_written(one) for one in frame[name]] for name in columns},
    )
    behind_first = data.loc[data["position"] > 0, value].abs()
    top = float((behind_first if len(behind_first) else data[value].abs()).max()) or 1.0
    signed = bool((data[value] < 0).any())
    scale = (
        alt.Scale(domain=[-top, 0.0, top], range=[NEGATIVE, MIDDLE, POSITIVE], clamp=True)
        if signed
        else alt.Scale(domain=[0.0, top], scheme="oranges", clamp=True)
    )
    rows = [f"L{layer}" for layer in sorted(frame["layer"].unique(), reverse=True)]
    cells = (
        alt.Chart(data)
        .mark_rect(stroke=GAP, strokeWidth=1)
        .encode(
            x=alt.X(
                "place:N",
                sort=list(dict.fromkeys(data["place"])),
                title="token",
                axis=alt.Axis(labelAngle=-90, labelLimit=_TOKENS),
            ),
            y=alt.Y("row:N", sort=rows, title="layer", axis=alt.Axis(ticks=False)),
            color=alt.Color(f"{value}:Q", scale=scale, legend=alt.Legend(title=title, gradientLength=160)),
            tooltip=[
                alt.Tooltip("row:N", title="layer"),
                alt.Tooltip("place:N", title="token"),
                *(alt.Tooltip(f"{name}_written:N", title=words) for name, words in columns.items()),
            ],
        )
    )
    return finish(cells, height=ROW * len(rows) + _TOKENS + AXIS + LEGEND)


def _written(value: object) -> str:
    return str(value) if isinstance(value, int | str) else number(float(str(value)))
