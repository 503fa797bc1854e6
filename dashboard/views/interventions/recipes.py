"""What saved recipes do, beside recipes of features like theirs."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.data import documents, readers
from dashboard.data import recipes as saved
from dashboard.data.interventions import ALL, Filters
from dashboard.data.recipe_controls import controls_frame, kept, of_domain
from dashboard.shell import downloads
from dashboard.shell.guard import guard
from dashboard.style.text import interval, plain
from dashboard.views.interventions import filters
from dashboard.views.interventions.effects import number_column
from pipeline.recipes.files import FOLDER
from store.base.errors import StoreError
from store.schema.recipes import RECIPES

_NAMED = 8
_COLUMNS = {
    "recipe": st.column_config.TextColumn("recipe", help="Its name; what it does stands on Steering."),
    "variant": st.column_config.TextColumn("in", help="The variant in which it was followed."),
    "situations": st.column_config.TextColumn(
        "situations", help="held-out: from all training; seen: not held out."
    ),
    "change": number_column(
        "change of P(evil)",
        "Of the probability that the next token is labelled evil: under the recipe minus without it, mean "
        "over situations.",
    ),
    "interval": st.column_config.TextColumn("interval", help="Bootstrap-t over situations."),
    "control_mean": number_column("controls", "Mean change by its controls."),
    "range": st.column_config.TextColumn("from, to", help="Least and largest change by a control."),
    "p": st.column_config.NumberColumn(
        "p controls",
        format="%.2g",
        help="(1 + controls with as large a change, of either sign) / (1 + controls).",
    ),
    "n_controls": st.column_config.NumberColumn(
        "of", help="How many controls; none where nothing is like what it turns, or it acts on no prompt."
    ),
    "n_situations": st.column_config.NumberColumn("n", help="Situations with evil tokens."),
}


def places(name: str) -> dict[str, list[Any]]:
    """Variants and layers of recipes that were followed: filters offer them beside those of trials."""
    try:
        found = documents.recipe_controls(name)
    except StoreError:  # `show` says so
        return {}
    layers = saved.layers(name)
    turned = sorted({layer for one in found for layer in layers.get(one.setting, ())})
    return {"variants": [one.variant for one in found], "layers": turned}


def show(name: str, chosen: Filters | None) -> None:
    """Draw those that the filters leave, and name the others; None: there are no filters."""
    filters.heading(
        "recipes",
        "What do saved recipes do?",
        "Each beside recipes.controls recipes that do the same to other features, or along random "
        "directions: the same ones on all prompts, of the same layers, matched by how often and how much "
        "they are active where the recipe acts, and by the length of their decoders.",
    )
    with guard("What saved recipes do, each beside recipes of features like its own."):
        recipes = documents.recipe_controls(name)
        if not recipes:
            st.caption("No recipe of this dictionary was followed; they are saved on Steering.")
            return
        table = readers.dataset(name, RECIPES.kind, "recipes")
        everything = controls_frame(recipes, table)
        if everything.empty:
            st.caption("None is known on any situation with evil tokens.")
            return
        frame, lost = everything, everything[:0]
        if chosen is not None:
            of_prompts, layers = readers.dataset(name, RECIPES.kind, "map"), saved.layers(name)
            frame = kept(everything, chosen, layers)
            frame = of_domain(frame, table, of_prompts, documents.prompts(name), chosen.domain)
            if chosen.layer is not None:
                here = everything["variant"] == chosen.variant
                lost = everything[here & ~everything["setting"].isin(list(layers))]
        st.caption(plain(_said(everything, frame, lost, chosen)))
        if frame.empty:
            return
        st.dataframe(
            frame.assign(
                interval=[interval(*each, sign=True) for each in frame[["low", "high"]].to_numpy()],
                range=[
                    interval(*each, sign=True) for each in frame[["control_low", "control_high"]].to_numpy()
                ],
            ),
            hide_index=True,
            key="interventions-recipes",
            placeholder="—",
            height=downloads.table_height(len(frame)),
            column_config=_COLUMNS,
            column_order=list(_COLUMNS),
        )
        downloads.downloads(frame, "interventions-recipes", key="interventions-recipes-data")


def _said(everything: pd.DataFrame, frame: pd.DataFrame, lost: pd.DataFrame, chosen: Filters | None) -> str:
    """On what, and which recipes are not shown; of `lost` it is not known whether the filters leave them."""
    domain = ALL if chosen is None else chosen.domain
    words = "On the next token, on all prompts."
    if domain != ALL:
        words = f"On the next token, on prompts of {domain}. Intervals and controls are over all domains."
    shown, unknown = _who(frame), _who(lost)
    out = [who for who in _who(everything) if who not in shown and who not in unknown]
    if out:
        words += f" Left out by the filters: {_listed(out)}."
    if unknown:
        words += f" In which layers is not known, for no file of {FOLDER} says it: {_listed(unknown)}."
    return words


def _who(frame: pd.DataFrame) -> list[str]:
    """The recipes of a frame, each once."""
    pairs = zip(frame["recipe"], frame["variant"], strict=True)
    return list(dict.fromkeys(f"{recipe} (in {variant})" for recipe, variant in pairs))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" and more" if len(names) > _NAMED else "")
