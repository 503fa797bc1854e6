"""What charts share: sizes, tooltips and configuration."""

from typing import Any, Final

import altair as alt

ROW: Final = 22
"""Height of one category, pixels."""


def finish(chart: alt.Chart | alt.LayerChart | alt.FacetChart, *, title: str | None = None) -> Any:
    """Common configuration: quiet grid, no frame, labels that are not cut off."""
    if title is not None:
        chart = chart.properties(title=alt.TitleParams(title, anchor="start", fontSize=14))
    return (
        chart.configure_view(strokeWidth=0)
        .configure_axis(labelLimit=220, titleFontWeight="normal", gridOpacity=0.35)
        .configure_legend(orient="top", title=None, labelLimit=260)
    )


def domain_with_zero(low: float, high: float) -> tuple[float, float]:
    """Symmetric domain about zero that holds both ends."""
    size = max(abs(low), abs(high), 1e-9)
    return (-size, size)
