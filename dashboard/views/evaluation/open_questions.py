"""Free answers to open questions: how often they are misaligned, and what else is made of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.charts import rates as rate_charts
from dashboard.data import answers, misalignment, readers
from dashboard.shell import downloads, query
from dashboard.shell.guard import empty, guard
from dashboard.style.text import count, plain
from dashboard.views.evaluation import answer_list, judging, rescore, response_level
from dashboard.widgets.misalignment_words import COUNTED, misalignment_words
from pipeline.params.misalignment import MisalignmentParams
from store.schema.misalignment import DENOMINATORS
from store.schema.vocabulary import ALL

_METHODS: Final = {
    "rubric": "the grammar that wrote the organism's advice reads it: truth by construction",
    "logprobs": "the mean over the numbers 0 to 100, by the probability that the judge gives each",
    "text": "a number that the judge writes: it gives no probabilities",
    "imported": "scores that came with the answers' files; who gave them is not known here",
}


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """Whose scores are shown, and what rates are a share of."""

    judge: str
    denominator: str
    params: MisalignmentParams
    level: str

    @property
    def counted(self) -> str:
        return COUNTED[self.denominator]


def command(name: str) -> str:
    """What makes the numbers of answers of a profile."""
    return f"dvc repro misalignment@{name}"


def show(name: str) -> None:
    """Draw what is known of a profile's answers."""
    what = "How often each variant's answers to open questions are misaligned."
    with guard(what, command=command(name)):
        judges = answers.judges(name)
        if not len(answers.answers(name)) or not judges:
            empty(
                "Answers to open questions with their scores.",
                command(name),
                why="This profile has none: name question files as its questions in params.yaml.",
            )
            return
        reading = _reading(name, judges)
        _rates(name, reading)
        _tabs(name, reading, list(judges))


def _tabs(name: str, reading: _Reading, judges: list[str]) -> None:
    """What else there is; only the open tab is computed."""
    draw: dict[str, Callable[[], None]] = {
        "Answers": lambda: answer_list.show(name, reading.judge, reading.params),
        "Questions and forms": lambda: _by_question(name, reading),
        "Thresholds and judges": lambda: judging.show(
            name, reading.judge, reading.denominator, reading.params
        ),
        "Features of answers": lambda: response_level.show(name, reading.params),
        "Before and after": lambda: rescore.show(name, judges, reading.params),
    }
    tabs = st.tabs(list(draw), on_change="rerun", **query.OPEN_VIEW.bound())
    for tab, show_tab in zip(tabs, draw.values(), strict=True):
        if tab.open:
            with tab, guard("Answers with their scores, and what is made of them.", command=command(name)):
                show_tab()


def _reading(name: str, judges: dict[str, str]) -> _Reading:
    params = answers.thresholds(name)
    columns = st.columns([1, 1.3, 2.6], vertical_alignment="bottom", gap="medium")
    judge = str(
        columns[0].selectbox(
            "Judge", list(judges), **query.JUDGE.bound(), help="Whose scores: a name of params.yaml."
        )
    )
    denominator = columns[1].segmented_control(
        "Share of",
        DENOMINATORS,
        default="coherent",
        required=True,
        **query.SHARE_OF.bound(),
        help="Which answers the misaligned ones are a share of. coherent: above the threshold of coherence. "
        "scored: all that have both scores. Those without (refusals, code, an outage) are in neither.",
    )
    columns[2].caption(
        plain(
            f"Misaligned: aligned below {params.misaligned_below:g} and coherent above "
            f"{params.coherent_above:g}, both strict, of scores of 0 to 100. {judge}: "
            f"{_METHODS.get(judges[judge], judges[judge])}."
        )
    )
    return _Reading(
        judge=judge,
        denominator=str(denominator or "coherent"),
        params=params,
        level=misalignment.level(name),
    )


def _rates(name: str, reading: _Reading) -> None:
    """The answer to the page's question: sentences, and rates over all questions."""
    rates = misalignment.rates(name, reading.judge, reading.denominator)
    overall = rates[(rates["question"] == ALL) & (rates["form"] == ALL)]
    colours = readers.colours(name)
    differences = misalignment.differences(name, reading.judge, reading.denominator)
    order = {variant: place for place, variant in enumerate(colours)}
    differences = differences.sort_values("variant", key=lambda column: column.map(order), kind="stable")
    left, right = st.container(key="narrow-open-rates").columns([1, 1.25], gap="medium")
    with left:
        told = misalignment_words(rates, differences, counted=reading.counted, level=reading.level)
        st.markdown(
            "\n".join(f"- {plain(each)}" for each in told),
            help="Rates over all questions and forms. The unit of every interval is the question: its forms "
            "and wordings are not independent. Differences are variant minus base on the same questions. "
            "Each interval is taken by itself: of many, some exclude 0 by chance.",
        )
    with right:
        drawn = overall.dropna(subset=["rate"]).assign(row=ALL)
        if drawn.empty:
            st.info(f"No answer counts among {reading.counted}: there is no rate.")
            return
        downloads.chart(
            rate_charts.interval_dots(
                drawn.assign(row="all questions"),
                colours,
                row="row",
                axis=_axis(reading),
                tooltip=_tooltip(reading),
            ),
            overall,
            "misaligned-rates",
            key="open-rates",
            alt=f"Rate of misaligned among {reading.counted} by variant, each with its {reading.level}",
        )
    _table(overall.merge(differences, on="variant", how="left", suffixes=("", "_difference")), reading)


def _axis(reading: _Reading) -> str:
    return f"misaligned, of {reading.counted}, with its {reading.level}"


def _tooltip(reading: _Reading) -> dict[str, str]:
    return {
        "variant": "variant",
        "question": "question",
        "form": "form",
        "written": f"misaligned, of {reading.counted}",
        "between": reading.level,
        "n_misaligned": "misaligned answers",
        "n": f"n {reading.counted}",
        "n_answers": "n answers",
    }


def _table(frame: pd.DataFrame, reading: _Reading) -> None:
    with st.expander("As a table"):
        st.dataframe(
            frame.drop(columns=["form", "question", "n"]),
            hide_index=True,
            key="open-rates-table",
            placeholder="—",
            height=downloads.table_height(len(frame)),
            column_config=_columns(reading)
            | {
                "difference": st.column_config.NumberColumn(
                    "minus base",
                    format="%+.3g",
                    help="Minus base's, over all answers to questions with a rate in both.",
                ),
                "low_difference": st.column_config.NumberColumn(
                    "low, difference", format="%+.3g", help=f"Lower end of its {reading.level}."
                ),
                "high_difference": st.column_config.NumberColumn(
                    "high, difference", format="%+.3g", help=f"Upper end of its {reading.level}."
                ),
                "n_questions": st.column_config.NumberColumn(
                    "n questions", help="Questions with a rate in both variants: the difference's unit."
                ),
            },
        )
        downloads.downloads(frame, "misaligned-rates", key="open-rates-table")


def _columns(reading: _Reading) -> dict[str, Any]:
    number = st.column_config.NumberColumn
    interval = "Wilson's; for all questions of the effective number of answers: those of one are alike"
    return {
        "variant": st.column_config.TextColumn("variant", help="Which weights.", pinned=True),
        "form": st.column_config.TextColumn("form", help="How questions were asked; `all` pools forms."),
        "question": st.column_config.TextColumn("question", help="The question's id; `all` pools them."),
        "n_answers": number("n answers", help="Sampled, or read from a file."),
        "n_scored": number("n scored", help="Of them with both scores."),
        "n_coherent": number("n coherent", help="Of these above the threshold of coherence."),
        "n_misaligned": number("n misaligned", help="Of these below the threshold of alignment."),
        "mean_aligned": number("mean aligned", format="%.3g", help="Mean score, 0 to 100."),
        "mean_coherent": number("mean coherent", format="%.3g", help="Mean score, 0 to 100."),
        "rate": number("rate", format="%.3g", help=f"Misaligned answers / {reading.counted}."),
        "low": number("low", format="%.3g", help=f"Lower end of the {reading.level}: {interval}."),
        "high": number("high", format="%.3g", help=f"Upper end of the {reading.level}: {interval}."),
    }


def _by_question(name: str, reading: _Reading) -> None:
    rates = misalignment.rates(name, reading.judge, reading.denominator)
    forms = [ALL, *sorted(set(rates["form"]) - {ALL})]
    form = ALL
    if len(forms) > 2:
        form = str(
            st.segmented_control(
                "Form",
                forms,
                default=ALL,
                required=True,
                **query.FORM.bound(),
                help="How the questions were asked: plain, with a system prompt that asks for JSON, in a "
                "template, or a form of their own; all pools them.",
            )
            or ALL
        )
    shown = rates[rates["form"] == form]
    drawn = shown.dropna(subset=["rate"])
    if drawn.empty:
        st.info(f"No answer counts among {reading.counted}: there is no rate.")
        return
    downloads.chart(
        rate_charts.interval_dots(
            drawn, readers.colours(name), row="question", axis=_axis(reading), tooltip=_tooltip(reading)
        ),
        rates,
        "misaligned-by-question",
        key="by-question",
        alt=f"Rate of misaligned among {reading.counted} by question and variant",
    )
    st.caption(
        plain(
            f"{count(drawn[drawn['question'] != ALL]['n'].sum())} {reading.counted}. A question by itself: "
            f"Wilson's {reading.level}, which takes its answers as independent; over all questions: of the "
            "effective number of answers, since those of one question are alike."
        )
    )
    with st.expander("As a table"):
        st.dataframe(
            rates.drop(columns="n"),
            hide_index=True,
            key="by-question-table",
            placeholder="—",
            column_config=_columns(reading),
        )
        downloads.downloads(rates, "misaligned-by-question", key="by-question-table")
