"""Answers by their scores: a scatter and a list, of which one answer is opened."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.charts import misalignment as charts
from dashboard.data import answers, readers
from dashboard.shell import downloads, query, selection, url
from dashboard.shell.guard import guard
from dashboard.style.text import count, shorten
from dashboard.views.evaluation import one_answer
from dashboard.widgets import row_table
from pipeline.analysis.answer_kinds import KINDS
from pipeline.params.misalignment import MisalignmentParams
from store.schema.answer_scores import ALIGNED, COHERENT, SCORE_STATUS

_ANY: Final = "all"
_TEXT: Final = 160
_HEIGHT: Final = 300


@st.fragment
def show(name: str, judge: str, params: MisalignmentParams) -> None:
    """Draw the answers of a profile as one judge scores them.

    Parameters
    ----------
    name
        Profile.
    judge
        Whose scores.
    params
        The thresholds.
    """
    everything = answers.scored(name, judge, params)
    chosen = _filtered(name, everything)
    left, right = st.container(key="narrow-answers").columns([1.15, 1], gap="medium")
    with left:
        _scatter(name, chosen, params)
    with right, guard("One answer with its question, scores and tokens."):
        _selected(name, everything, chosen, judge)
    with guard("Every answer, as a table."):
        _table(name, chosen, len(everything), judge)


def _filtered(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    there = set(frame["variant"])
    variants = [variant for variant in readers.colours(name) if variant in there]
    pair = [selection.get(side) for side in (query.A, query.B)]
    columns = st.columns([2, 1.3, 1, 1.2, 1.4], vertical_alignment="bottom")
    shown = columns[0].multiselect(
        "Variants",
        variants,
        default=[variant for variant in variants if variant in pair] or variants,
        **query.ANSWERS_OF.bound(),
        help="Whose answers. At first those of the two variants that are chosen in the sidebar.",
    )
    question = columns[1].selectbox(
        "Question",
        [_ANY, *sorted(frame["question"].unique())],
        **query.ASKED.bound(),
        help="The question's id, whatever its form and wording.",
    )
    form = columns[2].selectbox(
        "Form",
        [_ANY, *sorted(frame["form"].unique())],
        **query.FORM.bound(),
        help="How the questions were asked.",
    )
    kind = columns[3].selectbox(
        "Is",
        [_ANY, *KINDS, *(f"no score: {status}" for status in SCORE_STATUS[1:])],
        **query.KIND.bound(),
        help="misaligned, aligned and between are coherent: by the thresholds of params.yaml. incoherent: no "
        "more coherent than the threshold. unscored: lacks a score; no score: says why.",
    )
    text = columns[4].text_input(
        "Find",
        placeholder="words of an answer",
        **query.FIND_ANSWER.bound(),
        help="Every word must be in the answer; capitals do not matter.",
    )
    kept = frame["variant"].isin(shown)
    if question != _ANY:
        kept &= frame["question"] == question
    if form != _ANY:
        kept &= frame["form"] == form
    if kind in KINDS:
        kept &= frame["kind"] == kind
    elif kind != _ANY:
        status = str(kind).removeprefix("no score: ")
        kept &= (frame[f"{ALIGNED}_status"] == status) | (frame[f"{COHERENT}_status"] == status)
    found = frame[kept]
    for word in str(text or "").casefold().split():
        found = found[found["text"].str.casefold().str.contains(word, regex=False)]
    return found


def _scatter(name: str, frame: pd.DataFrame, params: MisalignmentParams) -> None:
    drawn = frame[frame["kind"] != "unscored"]
    if drawn.empty:
        st.info(
            "None of these answers has both scores." if len(frame) else "No answer is left by the filters."
        )
        return

    def pick() -> None:
        points = st.session_state["chart-scatter"]["selection"].get(charts.PICK, [])
        if points:
            _choose(str(points[0]["id"]))

    downloads.chart(
        charts.answers(
            drawn,
            readers.colours(name),
            misaligned_below=params.misaligned_below,
            coherent_above=params.coherent_above,
        ),
        drawn,
        "answers",
        key="scatter",
        alt="Answers by how aligned and how coherent they are; the list below has each of them",
        on_pick=pick,
    )
    st.caption(
        "Click a point to read the answer, or a row's box below. Points are moved by at most 1.6, never over "
        "a threshold (dashed), so that equal scores are seen."
    )


def _choose(answer: str) -> None:
    if selection.get(query.ANSWER) != answer:
        selection.choose(query.ANSWER, answer)
        url.write()


def _table(name: str, frame: pd.DataFrame, of: int, judge: str) -> None:
    shown = frame.reset_index(drop=True)
    shown["text"] = [shorten(" ".join(text.split()), _TEXT) for text in shown["text"]]
    # Another filter is another table: a selected row number would mean another answer.
    filters = (query.ANSWERS_OF, query.ASKED, query.FORM, query.KIND, query.FIND_ANSWER)
    key = "-".join(["answers", judge, *(str(st.session_state.get(each.name)) for each in filters)])

    def choose(row: pd.Series) -> None:
        _choose(str(row["id"]))

    scales = [name.removesuffix("_status") for name in frame.columns if name.endswith("_status")]
    row_table.show(
        shown,
        key=key,
        height=_HEIGHT,
        choose=choose,
        order=["variant", "question", "form", *scales, "kind", "text", "n_tokens"],
        columns={
            "variant": st.column_config.TextColumn("variant", help="Whose answer.", width=104),
            "question": st.column_config.TextColumn("question", help="The question's id.", width=104),
            "form": st.column_config.TextColumn("form", help="How it was asked.", width=70),
            **{
                scale: st.column_config.NumberColumn(
                    scale, format="%.3g", width=64, help="Score of 0 to 100; —: none, see the answer."
                )
                for scale in scales
            },
            "kind": st.column_config.TextColumn("is", help="By the thresholds.", width=84),
            "text": st.column_config.TextColumn("answer", help="Its beginning, white space shortened."),
            "n_tokens": st.column_config.NumberColumn("tokens", help="Length of the answer.", width=58),
        },
    )
    st.caption(f"{count(len(frame))} of {count(of)} answers.")
    downloads.downloads(answers.field_columns(name, frame), f"answers-{judge}", key="answers")


def _selected(name: str, everything: pd.DataFrame, chosen: pd.DataFrame, judge: str) -> None:
    """The selected answer, also where the filters leave it out; else the first misaligned one of the list."""
    wanted = selection.get(query.ANSWER)
    rows = everything.index[everything["id"] == wanted]
    if wanted and not len(rows):
        st.info("The answer of the link is not in this store; showing another.", icon=":material/search_off:")
    if not len(rows):
        rows = chosen.index[(chosen["kind"] != "misaligned").argsort(kind="stable")]
    if not len(rows):
        st.caption("Choose an answer to read it.")
        return
    one_answer.show(name, everything.loc[rows[0]], int(rows[0]), judge)
