"""Effects of interventions, drawn: beside controls, and before and after, prompt by prompt."""

from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.charts import interventions as charts
from dashboard.shell import downloads
from dashboard.style.text import count, plain

_MOST: Final = 40
"""Trials that the chart shows: the largest effects."""
_POINTS: Final = 2000
"""Prompts and trials that a browser draws."""


def beside_controls(trials: pd.DataFrame, *, name: str, words: str, **options: Any) -> None:
    """A point a trial, and the mean of its controls.

    Parameters
    ----------
    trials
        As `dashboard.charts.interventions.effects` takes them.
    name
        Of downloads.
    words
        What it shows, on hover.
    options
        Of the chart.
    """
    st.markdown("**Beside features like it**", help=words)
    largest = trials["effect"].abs().sort_values(ascending=False, kind="stable").index[:_MOST]
    shown = trials.loc[trials.index.isin(largest)]
    if len(shown) < len(trials):
        st.caption(f"The {count(len(shown))} largest of {count(len(trials))} effects.")
    downloads.chart(
        charts.effects(shown, **options),
        shown,
        f"{name}-effects",
        key=f"{name}-effects",
        alt=f"Effects of {count(len(shown))} interventions, with intervals and the mean of their controls.",
    )


def before_after(cells: pd.DataFrame, *, name: str, words: str) -> None:
    """A point a trial and prompt; as `dashboard.charts.interventions.before_after` takes them."""
    flips = int(cells["flip"].sum())
    st.markdown("**Before and after, prompt by prompt**", help=words)
    st.caption(
        plain(f"{count(flips)} of {count(len(cells))} points, one a prompt and intervention, flip the sign.")
    )
    points = cells.loc[cells["effect"].abs().sort_values(ascending=False, kind="stable").index[:_POINTS]]
    if len(points) < len(cells):
        st.caption(f"Drawn are the {count(len(points))} largest effects.")
    downloads.chart(
        charts.before_after(points),
        cells,
        f"{name}-prompts",
        key=f"{name}-prompts",
        alt=f"Baseline against intervened on {count(len(cells))} prompts; {count(flips)} signs flip.",
    )
