"""What charts share: sizes, tooltips and configuration."""

from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import pandas as pd
from altair.utils.schemapi import disable_debug_mode

from dashboard.style.theme import FAINT, Ink

# Altair holds every part against Vega-Lite's schema when it is made: a quarter of a page's time. A fault
# still ends where the whole is checked, as in the charts' tests.
disable_debug_mode()

ROW: Final = 22
"""Height of one category, pixels."""

AXIS: Final = 80
LEGEND: Final = 54
LINE: Final = 30
"""Heights, pixels: of an x axis with its title, of a legend or a title above, of a legend's further lines."""

GAP: Final = alt.ExprRef("background")
"""Outline of a mark that lies beside or on others: the page shows between them."""

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


def finish(
    chart: alt.Chart | alt.LayerChart | alt.FacetChart, *, height: int, title: str | None = None
) -> Any:
    """Common configuration: quiet grid, no frame, labels that are not cut off.

    Parameters
    ----------
    chart
        The marks.
    height
        Of the whole chart with axis, legend and title, pixels: the page keeps that much free before
        the chart is there, so that nothing moves when it comes.
    title
        Above the chart.
    """
    # Streamlit leaves no room beside a chart, and its font is wider than Vega reckons: the last label is cut.
    above = {} if title is None else {"title": alt.TitleParams(title, anchor="start", fontSize=14)}
    # All at once: every step copies the chart.
    return chart.properties(
        height=height,
        padding={"right": 6},
        config=alt.Config(
            view=alt.ViewConfig(strokeWidth=0),
            axis=alt.AxisConfig(
                labelLimit=220,
                labelColor=ink(FAINT),
                titleColor=ink(FAINT),
                titleFontWeight="normal",
                gridOpacity=0.35,
            ),
            axisBand=alt.AxisConfig(labelFlush=False),
            legend=alt.LegendConfig(orient="top", title=None, labelLimit=260, labelColor=ink(FAINT)),
        ),
        **above,
    )


def ink(colour: Ink) -> alt.ExprRef:
    """A text's colour, chosen in the browser: Streamlit gives a chart the page's background."""
    return alt.ExprRef(f"luminance(background) > 0.5 ? '{colour.light}' : '{colour.dark}'")


def cells(base: alt.Chart, value: str, *, text: str, scheme: str) -> Any:
    """A heat map with the figures in it.

    Parameters
    ----------
    base
        Chart that encodes x and y.
    value
        Column that is shaded, at least 0.
    text
        Column that is written.
    scheme
        Vega's colour scheme, light to dark.
    """
    # Black or white, whichever stands out: one of them always has 4.5 : 1.
    is_light = f"luminance(scale('color', datum.{value})) > 0.18"
    shades = base.mark_rect(cornerRadius=2).encode(
        color=alt.Color(f"{value}:Q", scale=alt.Scale(scheme={"name": scheme}, type="sqrt"), legend=None)
    )
    figures = base.mark_text(fontSize=11).encode(
        text=f"{text}:N",
        color=alt.condition(is_light, alt.value("black"), alt.value("white")),
    )
    return alt.layer(shades, figures)


def domain_with_zero(low: float, high: float) -> tuple[float, float]:
    """Symmetric domain about zero that holds both ends."""
    size = max(abs(low), abs(high), 1e-9)
    return (-size, size)
