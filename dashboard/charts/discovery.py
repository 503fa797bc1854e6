"""Finding prompts: what each round came to, and how prompts lie to each other."""

from typing import Any, Final

import altair as alt
import pandas as pd

from dashboard.charts.common import AXIS, GAP, LEGEND, finish
from dashboard.style.theme import STATUS_COLOURS

_HEIGHT: Final = 190
_MAP: Final = 320
_SHAPES: Final = {"fit": "circle", "failed": "diamond", "rejected": "cross", "unjudged": "triangle-up"}


def _status(names: list[str], **more: Any) -> alt.Color:
    return alt.Color(
        "status:N",
        sort=names,
        scale=alt.Scale(domain=names, range=[STATUS_COLOURS[name] for name in names]),
        **more,
    )


def rounds(frame: pd.DataFrame) -> Any:
    """Drafts of each round by what they came to.

    Parameters
    ----------
    frame
        Columns round, status, drafts.
    """
    names = [name for name in STATUS_COLOURS if (frame["status"] == name).any()]
    data = frame.assign(order=frame["status"].map({name: place for place, name in enumerate(names)}))
    bars = (
        alt.Chart(data)
        .mark_bar(stroke=GAP, strokeWidth=1)
        .encode(
            x=alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("drafts:Q", title="drafts", axis=alt.Axis(tickMinStep=1, format="d")),
            color=_status(names),
            order=alt.Order("order:Q"),
            tooltip=["round", "status", "drafts"],
        )
    )
    return finish(bars, height=_HEIGHT + AXIS + LEGEND)


def map_of_prompts(frame: pd.DataFrame) -> Any:
    """Where prompts lie, by what they share.

    Parameters
    ----------
    frame
        Columns x, y, status, domain, text, similarity, nearest.
    """
    names = [name for name in STATUS_COLOURS if (frame["status"] == name).any()]
    blank = alt.Axis(labels=False, ticks=False, title=None)
    points = (
        alt.Chart(frame)
        .mark_point(filled=True, size=60, opacity=0.8)
        .encode(
            x=alt.X("x:Q", axis=blank),
            y=alt.Y("y:Q", axis=blank),
            color=_status(names),
            shape=alt.Shape(
                "status:N",
                sort=names,
                scale=alt.Scale(domain=names, range=[_SHAPES.get(n, "square") for n in names]),
            ),
            tooltip=[
                "text",
                "domain",
                "status",
                alt.Tooltip("similarity:Q", title="shares with the nearest", format=".2f"),
                alt.Tooltip("nearest:N", title="the nearest"),
            ],
        )
    )
    return finish(points, height=_MAP + LEGEND)
