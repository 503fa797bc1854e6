"""Prompts with both answers and what a variant makes of them; one of them by all variants."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.data import behaviours, documents
from dashboard.shell import downloads, query, selection, url
from dashboard.style.text import count, plain, token_chips, visible
from dashboard.widgets import row_table
from store.documents.behaviour_prompts import BehaviourPrompt
from store.documents.token_texts import token_text

_ALL, _SUCCEED, _NOT = "all", "succeed", "do not"
_HEIGHT: Final = 388
_DIFFERENCE: Final = st.column_config.NumberColumn(
    "difference",
    format="%.3g",
    width=78,
    help="Mean log-probability a token of the right answer minus the wrong one's, nats.",
)
_DECISION: Final = st.column_config.NumberColumn(
    "decision", format="%.3g", width=70, help="Right minus wrong logit where the answers first differ."
)
_SUCCEEDS: Final = st.column_config.CheckboxColumn(
    "succeeds", width=70, help="The difference is above the behaviour's threshold."
)
_NUMBERS: Final = {
    "difference": _DIFFERENCE,
    "decision": _DECISION,
    "succeeds": _SUCCEEDS,
    "correct": st.column_config.NumberColumn(
        "log P right", format="%.3g", width=80, help="Mean log-probability a token, right answer, nats."
    ),
    "incorrect": st.column_config.NumberColumn(
        "log P wrong", format="%.3g", width=80, help="Mean log-probability a token, wrong answer, nats."
    ),
}
_COLUMNS: Final = {
    "behaviour": st.column_config.TextColumn("behaviour", help="What the model is to do.", width=84),
    "split": st.column_config.TextColumn("split", help="train or test; no group is in both.", width=54),
    "group": st.column_config.TextColumn(
        "group", help="Noun, subject, reason or pair of operands.", width=110
    ),
    "prompt": st.column_config.TextColumn("prompt", help="Where the answer begins."),
    "correct_answer": st.column_config.TextColumn("right", help="Spaces are marked.", width=90),
    "incorrect_answer": st.column_config.TextColumn("wrong", help="Spaces are marked.", width=90),
    **_NUMBERS,
}


def show(name: str, measured: pd.DataFrame, everything: pd.DataFrame) -> None:
    """The filtered prompts, and the selected one.

    Parameters
    ----------
    name
        Profile.
    measured
        Rows of `dashboard.data.behaviours.measured` that the page's filters leave.
    everything
        All of its rows.
    """
    st.subheader("Prompts", anchor=False)
    found = _filtered(measured)
    shown = found.reset_index(drop=True)
    for side in ("correct_answer", "incorrect_answer"):
        shown[side] = shown[side].map(visible)
    # Another filter is another table: a selected row number would mean another prompt.
    filters = (
        query.BEHAVIOUR_OF,
        query.BEHAVIOUR,
        query.BEHAVIOUR_SPLIT,
        query.SUCCESS,
        query.FIND_BEHAVIOUR,
    )
    key = "-".join(["behaviour-prompts", *(str(st.session_state.get(each.name)) for each in filters)])

    def choose(row: pd.Series) -> None:
        selection.choose(query.BEHAVIOUR_PROMPT, str(row["hash"]))
        url.write()

    row_table.show(
        shown,
        key=key,
        height=_HEIGHT,
        choose=choose,
        order=list(_COLUMNS),
        columns=_COLUMNS,
    )
    st.caption(
        f"{count(len(found))} of {count(len(measured))} prompts. A row's box shows what all variants do."
    )
    downloads.downloads(found, "behaviour-prompts", key="behaviour-prompts")
    _selected(name, found, everything)


def _filtered(measured: pd.DataFrame) -> pd.DataFrame:
    left, right = st.columns([1, 2])
    that = left.segmented_control(
        "That",
        [_ALL, _SUCCEED, _NOT],
        default=_ALL,
        required=True,
        **query.SUCCESS.bound(),
        help="A prompt succeeds where the difference is above its behaviour's threshold.",
    )
    text = right.text_input(
        "Find",
        placeholder="words of a prompt, an answer or a group",
        **query.FIND_BEHAVIOUR.bound(),
        help="Every word must be there; capitals do not matter.",
    )
    found = measured if that in (_ALL, None) else measured[measured["succeeds"] == (that == _SUCCEED)]
    columns = ["group", "prompt", "correct_answer", "incorrect_answer"]
    for word in str(text or "").casefold().split():
        held = found[columns].apply(lambda column, w=word: column.str.casefold().str.contains(w, regex=False))
        found = found[held.any(axis=1)]
    return found


def _selected(name: str, found: pd.DataFrame, everything: pd.DataFrame) -> None:
    """The selected prompt, also where filters leave it out; else the first of the list."""
    known = behaviours.prompts(name)
    wanted = selection.get(query.BEHAVIOUR_PROMPT)
    if wanted and wanted not in known:
        st.info("The prompt of the link is not in this store; showing another.", icon=":material/search_off:")
    chosen = wanted if wanted in known else next(iter(found["hash"]), None)
    if chosen is None or chosen not in known:
        st.caption("Choose a prompt to see what all variants do on it.")
        return
    _one(name, known[chosen], known, everything[everything["hash"] == chosen])


def _one(name: str, prompt: BehaviourPrompt, known: dict[str, BehaviourPrompt], rows: pd.DataFrame) -> None:
    with st.container(border=True):
        st.markdown(f"**{plain(prompt.behaviour)}**, {prompt.split}, {plain(prompt.group)}")
        words = documents.vocabulary(name)
        st.html(token_chips([token_text(words, each) for each in prompt.token_ids], marked=prompt.token_span))
        for side, ids, answer in (
            ("right", prompt.correct_ids, prompt.correct_answer),
            ("wrong", prompt.incorrect_ids, prompt.incorrect_answer),
        ):
            tokens = " · ".join(visible(token_text(words, each)) for each in ids)
            st.caption(plain(f"{side}: {visible(answer)}, as tokens {tokens}"))
        partner = known.get(prompt.partner or "")
        told = f"Partner: {partner.prompt} →{partner.correct_answer}." if partner else "It has no partner."
        st.caption(
            plain(told),
            help="Underlined: what decides the answer. Experiments patch between partners there, where both "
            "have as many tokens.",
        )
        st.dataframe(
            rows,
            hide_index=True,
            key="behaviour-prompt-variants",
            height=downloads.table_height(len(rows)),
            placeholder="—",
            column_order=["variant", *_NUMBERS],
            column_config={
                "variant": st.column_config.TextColumn("variant", help="Base, or an adapter at a scale."),
                **_NUMBERS,
            },
        )
        downloads.downloads(rows, f"behaviour-prompt-{prompt.hash}", key="behaviour-prompt")
