"""Behaviours: what each variant can do, by how probable right and wrong answers are."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.data import behaviours, readers
from dashboard.pages import BEHAVIOURS
from dashboard.shell import query, selection
from dashboard.shell.guard import guard
from dashboard.shell.page import head, profile
from dashboard.style.text import sentence
from dashboard.views.behaviours import cards, circuit, partnered, prompt_table
from store.documents.behaviour_prompts import SPLITS
from store.schema.vocabulary import ALL

_WHAT: Final = "Whether each variant prefers right answers to wrong ones, by behaviour and by prompt."
_CIRCUIT: Final = "Which features make base and the focus adapter answer, by behaviour."
_TRIED: Final = "What circuits of behaviours do in base, along partners, beside controls."
_ANSWERS, _CIRCUITS, _INTERVENTIONS = "Answers", "Circuit", "Interventions"


def _content(name: str) -> None:
    summary, level = behaviours.summary(name), behaviours.level(name)
    if summary.empty:
        st.info(
            "No behaviour was measured: the profile names none. `behaviours` of a profile in params.yaml "
            "names files of words; inputs/behaviours has some for models of the hub."
        )
        return
    for each in behaviours.unmeasured(name):
        st.info(
            sentence(f"{each} was not measured yet; `dvc repro baseline@{name}-{each}` measures it."),
            icon=":material/search_off:",
        )
    variant, behaviour, split = _filters(name, summary)
    shown = summary[summary["split"] == split]
    if behaviour != ALL:
        shown = shown[shown["behaviour"] == behaviour]
    measured = behaviours.measured(name)
    kept = measured["variant"] == variant
    if split != ALL:
        kept &= measured["split"] == split
    if behaviour != ALL:
        kept &= measured["behaviour"] == behaviour
    views = [_ANSWERS, _CIRCUITS, _INTERVENTIONS]
    answers, circuits, tried = st.tabs(views, on_change="rerun", **query.BEHAVIOUR_VIEW.bound())
    if answers.open:
        with answers:
            colour = readers.colours(name)[variant]
            cards.show(shown[shown["variant"] == variant], measured[kept], colour, level)
            cards.every_variant(shown, readers.colours(name), level)
            prompt_table.show(name, measured[kept], measured)
    if circuits.open:
        with circuits, guard(_CIRCUIT):
            circuit.show(name, variant, behaviour, split)
    if tried.open:
        with tried, guard(_TRIED):
            partnered.show(name, behaviour, split, selection.get(query.BEHAVIOUR_PROMPT) or "")


def _filters(name: str, summary: pd.DataFrame) -> tuple[str, str, str]:
    """Variant, behaviour and split that are looked at; what the link lacks is base, and all of the others."""
    left, middle, right = st.columns(3)
    known = [each for each in readers.colours(name) if (summary["variant"] == each).any()]
    variant = left.selectbox(
        "Variant", known, **query.BEHAVIOUR_OF.bound(), help="Whose answers: base, or an adapter at a scale."
    )
    names = [ALL, *dict.fromkeys(summary["behaviour"])]
    behaviour = middle.selectbox(
        "Behaviour",
        names,
        **query.BEHAVIOUR.bound(),
        help="What the model is to do; the words are the profile's files `behaviours` in params.yaml.",
    )
    split = right.segmented_control(
        "Prompts",
        [ALL, *SPLITS],
        default=ALL,
        required=True,
        **query.BEHAVIOUR_SPLIT.bound(),
        help="Circuits are found on train prompts and measured on test prompts: what is of one of them alone "
        "says so, and is empty where the other is chosen. No noun, subject, reason or pair of operands "
        "decides in both; a noun that misleads may decide in the other.",
    )
    return str(variant), str(behaviour), str(split or ALL)


def render() -> None:
    """Draw the page."""
    head(BEHAVIOURS)
    name = profile()
    with guard(_WHAT):
        _content(name)


render()
