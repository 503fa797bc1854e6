"""What a person can take along: a table as CSV and Parquet, a chart's data, a link."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.charts.common import ROWS, Drawn


def _flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Lists as JSON text: CSV knows no lists."""
    out = frame.copy()
    for name in out.columns:
        if out[name].map(lambda value: isinstance(value, (list, tuple))).any():
            out[name] = out[name].map(lambda value: json.dumps(list(value)))
    return out


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as UTF-8 CSV; lists become JSON text."""
    text: str = _flat(frame).to_csv(index=False)
    return text.encode("utf-8", "surrogatepass")


def parquet_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as Parquet."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def table_height(rows: int) -> int:
    """Pixels that a table of so many rows takes: said, the page keeps them free until it is drawn."""
    return 35 * (min(rows, 10) + 1) + 3


def downloads(frame: pd.DataFrame | Callable[[], pd.DataFrame], name: str, *, key: str) -> None:
    """Two small buttons under a table; the bytes are made at a click, as is a frame that a function gives."""

    def made() -> pd.DataFrame:
        return frame() if callable(frame) else frame

    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "CSV",
            data=lambda: csv_bytes(made()),
            file_name=f"{name}.csv",
            mime="text/csv",
            key=f"csv-{key}",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
            help="All rows of this table as comma-separated text, at full precision.",
        )
        st.download_button(
            "Parquet",
            data=lambda: parquet_bytes(made()),
            file_name=f"{name}.parquet",
            mime="application/vnd.apache.parquet",
            key=f"parquet-{key}",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
            help="All rows of this table with their types, for pandas, polars or DuckDB.",
        )


@dataclass(frozen=True)
class _Unchecked:
    """A chart as Streamlit asks for it, not held against Vega-Lite's schema at every drawing, as tests do."""

    figure: Any

    def to_dict(self) -> dict[str, Any]:
        """The specification, with its data as Streamlit wants them."""
        spec: dict[str, Any] = self.figure.to_dict(validate=False)
        return spec


def chart(
    figure: Any,
    data: pd.DataFrame,
    name: str,
    *,
    key: str,
    alt: str,
    on_pick: Callable[[], None] | None = None,
) -> None:
    """Draw a chart with its data beneath; a PNG is in the chart's own toolbar.

    Parameters
    ----------
    figure, data
        The chart, and what is downloaded.
    name
        Of the files.
    key
        Of the widgets; the chart's own is ``chart-<key>``.
    alt
        What a screen reader says.
    on_pick
        Called where something is selected in the chart, which then stands in the session's state.
    """
    if isinstance(figure, Drawn):
        spec = {**figure.spec, "datasets": {ROWS: figure.rows}}
        st.vega_lite_chart(spec, key=f"chart-{key}", alt=alt, height=spec["height"])
    else:
        drawn: Any = _Unchecked(figure)  # all that Streamlit asks of a chart
        st.altair_chart(
            drawn,
            key=f"chart-{key}",
            alt=alt,
            height=figure.height,
            on_select=on_pick or "ignore",
        )
    with st.popover("Data", type="tertiary", icon=":material/table_view:"):
        st.caption(
            "The toolbar at the chart's upper right corner downloads a PNG and copies the Vega-Lite "
            "specification, which any Vega editor exports as SVG."
        )
        downloads(data, name, key=key)
