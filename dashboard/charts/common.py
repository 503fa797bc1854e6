"""What charts share: sizes, tooltips and configuration."""

from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import pandas as pd

ROW: Final = 22
"""Height of one category, pixels."""

ROWS: Final = "rows"
"""Name of the data that a `Drawn` chart is of."""


@dataclass(frozen=True)
class Drawn:
    """A chart apart from its rows: the browser redraws only what changes when other rows come.

    Attributes
    ----------
    spec
        Vega-Lite of data named `ROWS`, without them. Making and checking it takes Altair longer
        than a small model takes for a steered pass, so charts that follow a slider make it once.
    rows
        Its data.
    """

    spec: dict[str, Any]
    rows: pd.DataFrame


def finish(chart: alt.Chart | alt.LayerChart | alt.FacetChart, *, title: str | None = None) -> Any:
    """Common configuration: quiet grid, no frame, labels that are not cut off."""
    if title is not None:
        chart = chart.properties(title=alt.TitleParams(title, anchor="start", fontSize=14))
    return (
        chart.configure_view(strokeWidth=0)
        .configure_axis(labelLimit=220, titleFontWeight="normal", gridOpacity=0.35)
        .configure_axisBand(labelFlush=False)
        .configure_legend(orient="top", title=None, labelLimit=260)
    )


def cells(base: alt.Chart, frame: pd.DataFrame, value: str, *, text: str, scheme: str) -> Any:
    """A heat map with the figures in it.

    Parameters
    ----------
    base
        Chart of `frame` that encodes x and y.
    value
        Column that is shaded, at least 0.
    text
        Column that is written.
    scheme
        Vega's colour scheme, light to dark.
    """
    middle = 0.45 * float(frame[value].max())  # lighter cells take dark figures
    shades = base.mark_rect(cornerRadius=2).encode(
        color=alt.Color(f"{value}:Q", scale=alt.Scale(scheme={"name": scheme}, type="sqrt"), legend=None)
    )
    figures = base.mark_text(fontSize=11).encode(
        text=f"{text}:N",
        color=alt.condition(f"datum.{value} > {middle}", alt.value("#ffffff"), alt.value("#2b2320")),
    )
    return alt.layer(shades, figures)


def domain_with_zero(low: float, high: float) -> tuple[float, float]:
    """Symmetric domain about zero that holds both ends."""
    size = max(abs(low), abs(high), 1e-9)
    return (-size, size)
