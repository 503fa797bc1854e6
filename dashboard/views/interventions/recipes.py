"""What saved recipes do, beside recipes of features like theirs."""

import streamlit as st

from dashboard.data import documents, readers
from dashboard.data.recipe_controls import controls_frame
from dashboard.shell import downloads
from dashboard.shell.guard import guard
from dashboard.style.text import interval
from dashboard.views.interventions.effects import number_column
from store.schema.recipes import RECIPES

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


def show(name: str) -> None:
    """Draw all of them: a recipe has a variant and prompts of its own, which no filter of trials names."""
    st.markdown(
        "**What do saved recipes do?**",
        help="Each beside recipes.controls recipes that do the same to other features, or along random "
        "directions: the same ones on all prompts, of the same layers, matched by how often and how much "
        "they are active where the recipe acts, and by the length of their decoders.",
    )
    with guard("What saved recipes do, each beside recipes of features like its own."):
        recipes = documents.recipe_controls(name)
        if not recipes:
            st.caption("No recipe of this dictionary was followed; they are saved on Steering.")
            return
        frame = controls_frame(recipes, readers.dataset(name, RECIPES.kind, "recipes"))
        if frame.empty:
            st.caption("None is known on any situation with evil tokens.")
            return
        st.caption("On the next token, on all prompts; the filters above do not cut them.")
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
