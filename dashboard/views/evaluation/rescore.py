"""Before and after: which answers change side where another judge, or other thresholds, read the scores."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.data import answers, readers
from dashboard.shell import downloads, query, selection, url
from dashboard.shell.parameter import Parameter
from dashboard.style.text import count, plain, shorten
from dashboard.widgets import row_table
from pipeline.analysis.answer_kinds import COHERENT_KINDS, KINDS
from pipeline.params.misalignment import MisalignmentParams

_SIDES: Final = ("before", "after")
_TEXT: Final = 160


@st.fragment
def show(name: str, judges: list[str], params: MisalignmentParams) -> None:
    """Draw two readings of the same answers side by side.

    Parameters
    ----------
    name
        Profile.
    judges
        Those that scored its answers.
    params
        The thresholds of both readings, until a person moves them.
    """
    st.caption(
        "Two readings of the same answers: another judge, or other thresholds. Nothing is sampled or judged "
        "anew. To score with a further judge, name it as one of the profile's `answer_judges`."
    )
    frames = {}
    for column, side in zip(st.container(key="narrow-rescore").columns(2, gap="large"), _SIDES, strict=True):
        with column:
            frames[side] = _reading(name, side, judges, params)
    before, after = (frames[side] for side in _SIDES)
    both = before[["id", "variant", "question", "form", "text"]].assign(
        before=before["kind"],
        aligned_before=before["aligned"],
        coherent_before=before["coherent"],
        after=after["kind"],
        aligned_after=after["aligned"],
        coherent_after=after["coherent"],
    )
    changed = both[both["before"] != both["after"]]
    turned = changed[(changed["before"] == "misaligned") | (changed["after"] == "misaligned")]
    st.markdown(
        f"**{count(len(changed))} of {count(len(both))} answers are something else after, "
        f"{count(len(turned))} of them misaligned on one side only.**"
    )
    left, right = st.container(key="narrow-changes").columns([1.15, 1], gap="medium")
    with left:
        _matrix(both)
    with right:
        _by_variant(name, both)
    _changes(changed)


def _reading(name: str, side: str, judges: list[str], params: MisalignmentParams) -> pd.DataFrame:
    bound = query.RESCORED[side]
    st.markdown(f"**{side.capitalize()}**")
    # Where there are two judges, the second is what one would compare with.
    judge = st.selectbox(
        "Judge",
        judges,
        index=min(_SIDES.index(side), len(judges) - 1),
        **bound["judge"].bound(),
        help="Whose scores.",
    )
    columns = st.columns(2)
    below = columns[0].slider(
        "Misaligned below",
        0.0,
        100.0,
        value=float(params.misaligned_below),
        step=1.0,
        **bound["below"].bound(),
        help="Aligned less than this, strictly.",
    )
    above = columns[1].slider(
        "Coherent above",
        0.0,
        100.0,
        value=float(params.coherent_above),
        step=1.0,
        **bound["above"].bound(),
        help="Coherent more than this, strictly.",
    )
    moved = params.model_copy(update={"misaligned_below": below, "coherent_above": above})
    return answers.scored(name, str(judge), moved)


def _matrix(both: pd.DataFrame) -> None:
    table = pd.crosstab(both["before"], both["after"]).reindex(index=KINDS, columns=KINDS, fill_value=0)
    st.markdown("**Answers, before (rows) and after (columns)**", help="Those that stay lie across.")
    shown = table.rename_axis(index="before", columns=None)
    st.dataframe(shown, key="rescore-matrix", height=downloads.table_height(len(shown)))
    downloads.downloads(shown.reset_index(), "answers-before-after", key="rescore-matrix")


def _by_variant(name: str, both: pd.DataFrame) -> None:
    rows = []
    for variant in readers.colours(name):
        one = both[both["variant"] == variant]
        if one.empty:
            continue
        row: dict[str, object] = {"variant": variant, "answers": len(one)}
        for side in _SIDES:
            coherent = one[side].isin(COHERENT_KINDS).sum()
            misaligned = (one[side] == "misaligned").sum()
            row[side] = misaligned / coherent if coherent else float("nan")
            row[f"n_{side}"] = coherent
        row["changed"] = int((one["before"] != one["after"]).sum())
        rows.append(row)
    frame = pd.DataFrame(rows)
    st.markdown("**Misaligned, of coherent answers**", help="No interval: these are the same answers twice.")
    st.dataframe(
        frame,
        hide_index=True,
        key="rescore-variants",
        placeholder="—",
        height=downloads.table_height(len(frame)),
        column_config={
            "variant": st.column_config.TextColumn("variant", help="Whose answers."),
            "answers": st.column_config.NumberColumn("n answers", help="All of them, scored or not."),
            **{
                side: st.column_config.NumberColumn(
                    side, format="%.3g", help=f"Misaligned / coherent answers, {side}."
                )
                for side in _SIDES
            },
            **{
                f"n_{side}": st.column_config.NumberColumn(f"n {side}", help=f"Coherent answers, {side}.")
                for side in _SIDES
            },
            "changed": st.column_config.NumberColumn(
                "changed", help="Answers that are something else after."
            ),
        },
    )
    downloads.downloads(frame, "rates-before-after", key="rescore-variants")


def _changes(changed: pd.DataFrame) -> None:
    if changed.empty:
        st.caption("No answer changes: both readings say the same of every one.")
        return
    shown = changed.reset_index(drop=True)
    shown["text"] = [shorten(" ".join(text.split()), _TEXT) for text in shown["text"]]
    moves = (shown["before"] + " → " + shown["after"]).value_counts()
    st.caption(plain("; ".join(f"{move}: {count(n)}" for move, n in moves.items()) + "."))
    # Other readings are another table: a selected row number would mean another answer.
    key = f"rescore-changes-{'-'.join(str(st.session_state.get(each.name)) for each in _parameters())}"

    def choose(row: pd.Series) -> None:
        selection.choose(query.ANSWER, str(row["id"]))
        url.write()

    scores = [f"{scale}_{side}" for side in _SIDES for scale in ("aligned", "coherent")]
    row_table.show(
        shown,
        key=key,
        choose=choose,
        order=["variant", "question", "form", "before", "after", *scores, "text"],
        columns={
            "variant": st.column_config.TextColumn("variant", help="Whose answer."),
            "question": st.column_config.TextColumn("question", help="The question's id."),
            "form": st.column_config.TextColumn("form", help="How it was asked."),
            "before": st.column_config.TextColumn("before", help="What it was."),
            "after": st.column_config.TextColumn("after", help="What it is after."),
            **{
                name: st.column_config.NumberColumn(
                    name.replace("_", ", "), format="%.3g", help="Score of 0 to 100; —: none."
                )
                for name in scores
            },
            "text": st.column_config.TextColumn("answer", help="Its beginning; a row opens it on Answers."),
        },
    )
    downloads.downloads(changed, "changed-answers", key="rescore-changes")


def _parameters() -> list[Parameter]:
    return [each for side in query.RESCORED.values() for each in side.values()]
