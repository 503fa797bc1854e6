"""Recipes of the Steering page: saved ones with what was found, loaded into the sliders, and a new one."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from pydantic import ValidationError

from dashboard.data import documents, project, readers, recipes
from dashboard.data.recipes import Saved
from dashboard.shell import downloads, query, url
from dashboard.style.text import count, interval, number, plain, sentence, share_interval
from dashboard.views.steering import feature_controls
from dashboard.views.steering.token_choice import Tokens
from pipeline.interventions.kinds import Intervention
from pipeline.labels.author import author
from pipeline.recipes.document import MAX_NAME, MAX_WATCHED, make_recipe
from pipeline.recipes.files import write_recipe
from store.base.errors import UserError
from store.schema.recipes import RECIPES

_WRITTEN = "_recipe_written"
_PROBABILITY = "Probability that the next token is labelled evil"
_HELD_OUT = "on situations held out from all training"


def _both_sides(name: str, title: str, meaning: str) -> dict[str, Any]:
    """Columns of a number before and after."""
    said = {"before": (f"{title}, before", "without the recipe"), "after": ("after", "under the recipe")}
    return {
        f"{name}_{side}": st.column_config.NumberColumn(words, format="%.3g", help=f"{meaning}, {how}.")
        for side, (words, how) in said.items()
    }


_COLUMNS = {
    "recipe": st.column_config.TextColumn("recipe", help="Its name."),
    "variant": st.column_config.TextColumn("weights", help="Which weights it steers."),
    "problem": st.column_config.TextColumn("problem", help="Why it cannot be followed here; empty: it can."),
    "does": st.column_config.TextColumn("does", help="Feature, mode, value, and where, in order."),
    **_both_sides("evil_here", "P(evil) here", f"{_PROBABILITY}, on this prompt"),
    **_both_sides("evil", "P(evil) held out", f"{_PROBABILITY}, mean {_HELD_OUT}"),
    **_both_sides("harmful", "harmful", f"Share of harmful continuations {_HELD_OUT}"),
    "n_samples": st.column_config.NumberColumn("n", help="Continuations on either side, held out."),
    "few": st.column_config.TextColumn(
        "with how few",
        help="How many of its features, the first by what they add on other situations, keep so much of what "
        "the whole recipe does to P(evil) on situations on which they were not ordered.",
    ),
    "note": st.column_config.TextColumn("note", help="What its author says of it."),
    "author": st.column_config.TextColumn("author", help="Who saved it."),
    "file": st.column_config.TextColumn("file", help="Where it is kept, with git."),
}


def _change(title: str, meaning: str) -> Any:
    return st.column_config.NumberColumn(title, format="%.3g", help=meaning)


_PARTS = {
    "k": st.column_config.NumberColumn("first", help="How many of its features are done."),
    "adds": st.column_config.TextColumn(
        "with", help="The feature that comes last; they are ordered by what they add on other situations."
    ),
    "change": _change("change of P(evil)", "By the first so many together, mean over situations."),
    "interval": st.column_config.TextColumn("interval", help="Bootstrap-t over situations."),
    "share": st.column_config.NumberColumn(
        "share", format="percent", help="Of what the whole recipe does, on the same situations."
    ),
    "share_interval": st.column_config.TextColumn("interval", help="Of the share; bootstrap-t."),
    "alone": _change("alone", "Change of P(evil) by this feature alone, on the situations that order them."),
    "lost": _change("lost without", "What the whole recipe does there, and does not without this feature."),
}


def show_saved(
    name: str, variants: Sequence[str], prompt_hash: str, tokens: Sequence[str], known: Tokens
) -> None:
    """The saved recipes, and a button that sets the sliders as one says; outside of every fragment.

    Loading sets the widgets below, and the choice of weights, before they are drawn. `tokens` are those of
    the prompt, of which positions are named; `known` all that the model has.
    """
    there = recipes.saved(name)
    with st.expander(f"Saved recipes ({len(there)})", icon=":material/menu_book:"):
        if not there:
            st.caption(
                "None yet. Turn a feature, then save it below: recipes are files in inputs/recipes, and "
                "`dvc repro` follows them on every prompt."
            )
            return
        columns = st.columns([2, 1, 3], vertical_alignment="bottom")
        by_name = {one.name: one for one in there}
        chosen = columns[0].selectbox(
            "Recipe", list(by_name), **query.RECIPE.bound(), help="A file of inputs/recipes, by its name."
        )
        one = by_name[str(chosen)]
        values, problem = _values(name, one, variants, known)
        columns[1].button(
            "Load",
            icon=":material/input:",
            disabled=bool(problem),
            on_click=partial(url.choose, values, feature_controls.linked_values(values, tokens)),
            help="Sets weights, features and sliders as the recipe says.",
            key="load-recipe",
        )
        note = "" if one.recipe is None else one.recipe.note
        if problem:
            columns[2].caption(sentence(f"It cannot be loaded here: {problem}"))
        elif note:
            columns[2].caption(plain(note))
        frame = recipes.recipes_frame(name, there, prompt_hash)
        found = frame.iloc[there.index(one)]
        if np.isfinite(found["evil_after"]):
            st.caption(_found_words(found, readers.level(name, RECIPES.kind)))
            _show_parts(name, one)
        elif not one.problem:
            st.caption(
                "`dvc repro` says what it does on every prompt: stage `recipes` follows what is saved."
            )
        columns_shown = [
            column for column in _COLUMNS if column != "problem" or (frame["problem"] != "").any()
        ]
        st.dataframe(
            frame,
            hide_index=True,
            key="recipes-table",
            placeholder="—",
            column_config=_COLUMNS,
            column_order=columns_shown,
        )
        downloads.downloads(frame, "recipes", key="recipes")


def _show_parts(name: str, one: Saved) -> None:
    """Which of a recipe's features it needs: the first k of them, for every k."""
    assert one.recipe is not None
    frame = recipes.parts_frame(name, one.recipe)
    if len(frame) < 2:
        return
    if reason := recipes.reason(name, one.recipe):
        st.caption(plain(f"With how few features is not known: {reason}."))
    st.dataframe(
        frame.assign(
            interval=[interval(*each, sign=True) for each in frame[["low", "high"]].to_numpy()],
            share_interval=[share_interval(*each) for each in frame[["share_low", "share_high"]].to_numpy()],
        ),
        hide_index=True,
        key="recipe-parts",
        placeholder="—",
        height=downloads.table_height(len(frame)),
        column_config=_PARTS,
        column_order=list(_PARTS),
    )
    downloads.downloads(frame, "recipe-parts", key="recipe-parts-data")


def _found_words(found: pd.Series, level: str) -> str:
    """What the chosen recipe does on held-out situations, with intervals over them."""
    before, after = number(found["evil_before"]), number(found["evil_after"])
    said = (
        f"Held out ({count(found['n_situations'])} situations, {level}): P(evil) {before} → {after}, change "
        f"{number(found['evil_change'], sign=True)} {interval(found['low'], found['high'], sign=True)}"
    )
    if found["n_samples"] > 0:
        sides = [
            f"{number(found[f'harmful_{side}'])} "
            f"{interval(found[f'harmful_{side}_low'], found[f'harmful_{side}_high'])}"
            for side in ("before", "after")
        ]
        said += f"; harmful continuations {' → '.join(sides)}, of {count(found['n_samples'])} on either side"
    return plain(f"{said}.")


def _values(name: str, one: Saved, variants: Sequence[str], known: Tokens) -> tuple[dict[str, Any], str]:
    """What the widgets are set to, or why they cannot be."""
    if one.recipe is None or one.problem:
        return {}, one.problem
    if one.recipe.variant not in variants:
        return {}, f"it steers {one.recipe.variant}, and the page {', '.join(variants)}."
    try:
        values = feature_controls.widget_values(
            one.recipe.setting, lambda layer, index: readers.largest_activation(name, layer, index)
        )
    except feature_controls.NotShownError as error:
        return {}, str(error)
    beside: dict[str, Any] = {
        query.STEERED.key(): one.recipe.variant,
        query.STEERED_STILL.key(): one.recipe.frozen,
        query.WATCH.key(): [known.name(token) for token in one.recipe.watch],
        query.FROM.key(): None if one.recipe.continue_from is None else known.name(one.recipe.continue_from),
    }
    return beside | values, ""


def offer_to_save(
    name: str, variant: str, setting: Sequence[Intervention], frozen: str, known: Tokens
) -> None:
    """A form that keeps what the sliders say as a recipe, and what is frozen, watched and continued from."""
    with st.popover(
        "Save as recipe",
        icon=":material/bookmark_add:",
        disabled=not setting,
        help="Recipes are kept in inputs/recipes, with git; `dvc repro` follows them on every prompt. Kept "
        "are weights, features with their values and places, what is frozen, watched tokens, and the token "
        "that is continued from.",
    ):
        called = st.text_input("Name of the recipe", max_chars=MAX_NAME, key="recipe-name")
        note = st.text_area(
            "Note", max_chars=10_000, key="recipe-note", help="What you saw, or want to know."
        )
        if st.button("Save", type="primary", disabled=not called.strip(), key="save-recipe"):
            _save(name, variant, setting, called.strip(), note=note, frozen=frozen, **_looked_at(known))
    if written := st.session_state.pop(_WRITTEN, None):
        st.success(
            plain(f"Written to {written}. `dvc repro` follows it on every prompt; commit it."),
            icon=":material/check:",
        )


def _looked_at(known: Tokens) -> dict[str, Any]:
    """Tokens that the page watches and continues from, by id; what is none is left out."""
    watched = [known.meant(str(each)) for each in st.session_state.get(query.WATCH.key()) or ()]
    wanted = st.session_state.get(query.FROM.key())
    return {
        "watch": [token for token in dict.fromkeys(watched) if token is not None][:MAX_WATCHED],
        "continue_from": known.meant(str(wanted)) if wanted else None,
    }


def _save(name: str, variant: str, setting: Sequence[Intervention], called: str, **beside: Any) -> None:
    transcoders = documents.models(name).transcoders.fingerprint
    try:
        recipe = make_recipe(
            called, variant, tuple(setting), transcoders=transcoders, author=author(), **beside
        )
        path = write_recipe(recipes.folder(), recipe)
    except ValidationError as error:
        st.error(sentence(error.errors()[0]["msg"].removeprefix("Value error, ")), icon=":material/error:")
    except UserError as error:
        st.error(sentence(str(error)), icon=":material/error:")
    else:
        st.session_state[_WRITTEN] = project.shown(path)
        st.rerun(scope="app")  # the list of saved ones stands outside of this fragment
