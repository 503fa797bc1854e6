"""Interventions: what is causal."""

import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.charts import interventions as charts
from dashboard.data import interventions as data
from dashboard.data import names, readers
from dashboard.pages import INTERVENTIONS
from dashboard.shell import downloads
from dashboard.shell.guard import guard
from dashboard.shell.page import head, profile
from dashboard.style.text import count, plain
from dashboard.views.interventions import effects, filters, given, parts, prediction, recipes

_DATASET = "interventions"
_CLUSTERS = 3


def render() -> None:
    """Draw the page."""
    head(INTERVENTIONS)
    name = profile()
    chosen = None
    with guard("What features cause: effects of interventions, each beside matched controls."):
        table, cells = (readers.dataset(name, _DATASET, group) for group in ("trials", "cells"))
        if not table.sizes["trial"]:
            st.info(
                "Nothing was tried: no prompt of other situations has both labels, or no feature is active "
                "often enough (params.yaml: interventions.min_situations).",
                icon=":material/search_off:",
            )
        else:
            chosen = filters.choose(table, cells, **recipes.places(name))
            everything = data.trials_frame(table, cells, names.of_features(name), chosen.domain)
            _panels(name, cells, everything, chosen)
    recipes.show(name, chosen)


def _panels(name: str, cells: xr.Dataset, everything: pd.DataFrame, chosen: data.Filters) -> None:
    trials = data.chosen(everything, chosen)
    of_cells = data.cells_frame(cells, trials, chosen.domain)
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        effects.table(name, trials, chosen)
    with right:
        effects.drawn(trials, of_cells)
    left, right = st.columns(2, gap="medium")
    with left:
        given.curves(name, chosen)
        prediction.show(name, cells, everything, chosen)
    with right:
        of_positions = data.chosen(everything, chosen, every=("experiment", "frozen"))
        _positions(data.positions_frame(of_positions), tried=len(data.positions_frame(everything)) > 0)
        _alike(trials, of_cells)
        _silent(data.silent_frame(data.chosen(everything, chosen, every=("experiment", "frozen"))))
        given.silent(name, chosen)
        parts.show(name, chosen)


def _positions(frame: pd.DataFrame, *, tried: bool) -> None:
    """Draw the chart; `tried` is whether any feature was, whatever the filters leave."""
    filters.heading(
        "positions",
        "Where in the prompt does it matter?",
        "Each feature is ablated at one position alone, counted from the prompt's end; mean over "
        "situations of the effect on evil minus safe logits. Nothing is frozen.",
    )
    if frame.empty:
        st.caption(
            "Nothing is left by the filters." if tried else "No feature was ablated at one position alone."
        )
        return
    downloads.chart(
        charts.positions(frame),
        frame,
        "interventions-positions",
        key="interventions-positions",
        alt=f"Effects of {count(frame['feature'].nunique())} features by position.",
    )


def _alike(trials: pd.DataFrame, cells: pd.DataFrame) -> None:
    filters.heading(
        "profiles",
        "Which features do alike?",
        "Effects by feature and situation, clustered by average linkage of 1 - |cosine|: features that "
        "do the same, or the opposite, on the same prompts stand together.",
    )
    settings = trials["setting"].nunique()
    if settings > 1:  # one row a feature: of several doses or positions the strongest tells most
        largest = trials.groupby("setting")["effect"].apply(lambda one: one.abs().max()).dropna()
        if largest.empty:
            st.caption("No effect is known of what the filters leave.")
            return
        strongest = largest.idxmax()
        cells = cells[cells["setting"] == strongest]
        st.caption(plain(f"Of the {count(settings)} settings the one with the largest effect: {strongest}."))
    if cells.empty:
        st.caption("Nothing is left by the filters.")
        return
    frame = data.profiles_frame(cells, _CLUSTERS)
    downloads.chart(
        charts.profiles(frame),
        frame,
        "interventions-profiles",
        key="interventions-profiles",
        alt=f"Effects of {count(frame['feature'].nunique())} features by situation, like ones together.",
    )


def _silent(frame: pd.DataFrame) -> None:
    filters.heading(
        "silent",
        "Which features are silent?",
        "Chosen for a high score, and yet their ablation does nothing of size: the whole interval lies "
        "within params.yaml: interventions.silent. Nothing is frozen.",
    )
    if frame.empty:
        st.caption("None of those tried, by these filters; of one domain alone that is not tested.")
    else:
        shown = frame[["feature", "effect", "low", "high", "n_acting"]]
        st.dataframe(
            shown,
            hide_index=True,
            key="silent",
            height=downloads.table_height(len(shown)),
            column_config={
                "feature": st.column_config.TextColumn("feature", help="Layer and index, and its name."),
                "effect": effects.number_column("effect", "Mean effect of ablating it, logits."),
                "low": effects.number_column("lower", "Bootstrap-t interval over situations."),
                "high": effects.number_column("upper", "Bootstrap-t interval over situations."),
                "n_acting": st.column_config.NumberColumn("n", help="Prompts on which it is active."),
            },
        )
        downloads.downloads(frame, "interventions-silent", key="silent-data")


render()
