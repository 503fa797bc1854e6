"""How the rate depends on who judges and how: thresholds, judges and forms, and a judge's errors."""

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.charts import misalignment as charts
from dashboard.data import misalignment, readers
from dashboard.data.judge_errors import Measured, MeasuredErrors, judge_errors
from dashboard.shell import downloads, query
from dashboard.style.text import count, interval, number, plain
from dashboard.widgets.misalignment_words import COUNTED
from pipeline.analysis.judge_error import JudgeError, corrected_rate, expected_rate
from pipeline.params.misalignment import MisalignmentParams
from store.schema.vocabulary import ALL

_STEPS: Final = 101


def show(name: str, judge: str, denominator: str, params: MisalignmentParams) -> None:
    """Draw what the rate by one judge depends on."""
    left, right = st.container(key="narrow-judging").columns(2, gap="large")
    with left:
        _surface(name, judge, denominator, params)
    with right:
        _bands(name, denominator)
    _errors(name, judge, denominator, params.confidence)


@st.fragment
def _surface(name: str, judge: str, denominator: str, params: MisalignmentParams) -> None:
    st.subheader(
        "By both thresholds",
        anchor=False,
        help="Rate of misaligned answers if the thresholds were others. Nothing is sampled or judged anew.",
    )
    rates = misalignment.rates(name, judge, denominator)
    colours = readers.colours(name)
    variants = [variant for variant in colours if (rates["variant"] == variant).any()]
    variant = str(
        st.selectbox(
            "Variant",
            variants,
            index=min(1, len(variants) - 1),
            **query.SURFACE_OF.bound(),
            help="Whose answers.",
        )
    )
    frame = misalignment.surface(name, judge, variant, denominator)
    counted = COUNTED[denominator]
    downloads.chart(
        charts.surface(
            frame,
            misaligned_below=params.misaligned_below,
            coherent_above=params.coherent_above,
            counted=counted,
        ),
        frame.assign(variant=variant, judge=judge),
        "threshold-surface",
        key="surface",
        alt=f"Rate of misaligned among {counted} of {variant} by both thresholds",
    )
    found = frame["rate"].dropna()
    if len(found):
        st.caption(
            plain(
                f"From {number(found.min())} to {number(found.max())} over all thresholds; those of "
                "params.yaml are outlined."
            )
        )


def _bands(name: str, denominator: str) -> None:
    st.subheader(
        "By judge and form",
        anchor=False,
        help="The rate over all questions by every judge, in every form of the questions; the bar goes from "
        "the lowest to the highest.",
    )
    frame = misalignment.bands(name, denominator).dropna(subset=["rate"])
    separate = frame[frame["form"] != ALL]
    forms = separate if separate["form"].nunique() > 1 else frame[frame["form"] == ALL]
    if forms.groupby("variant").size().max() in (0, 1) or forms.empty:
        st.caption(
            "One judge and one form: there is no band to show. `answer_judges` of a profile names judges."
        )
        return
    downloads.chart(
        charts.bands(forms, readers.colours(name), axis=f"misaligned, of {COUNTED[denominator]}"),
        forms,
        "judge-bands",
        key="bands",
        alt="Lowest to highest rate of every variant over judges and forms",
    )


@st.fragment
def _errors(name: str, judge: str, denominator: str, confidence: float) -> None:
    st.subheader(
        "How far off can it be?",
        anchor=False,
        help="A judge that calls a share of aligned answers misaligned, and misses a share of misaligned "
        "ones, reports p (1 - missed) + (1 - p) falsely misaligned where p is true.",
    )
    error = _judge_error(name, judge)
    rates = misalignment.rates(name, judge, denominator)
    overall = rates[(rates["question"] == ALL) & (rates["form"] == ALL)].dropna(subset=["rate"])
    if overall.empty:
        st.caption("No variant has a rate.")
        return
    if not error.informative:
        st.info("A judge that errs on half of both kinds tells nothing of the true rate.")
        return
    observed = overall["rate"].to_numpy()
    between = overall["low"].to_numpy(), overall["high"].to_numpy()
    true = corrected_rate(observed, between, error, confidence)
    table = pd.DataFrame({"variant": overall["variant"].to_numpy(), "observed": observed})
    table = table.assign(**dict(zip(("true", "true_low", "true_high"), true, strict=True)))
    grid = np.linspace(0, 1, _STEPS)
    line = pd.DataFrame({"true": grid, "observed": expected_rate(grid, error)})
    left, right = st.container(key="narrow-errors").columns([1, 1.2], gap="medium")
    with left:
        downloads.chart(
            charts.judged(
                line,
                table,
                readers.colours(name),
                observed=f"reported by {judge}",
            ),
            line,
            "judge-error",
            key="judge-error",
            alt="Rate that a judge with these errors reports for every true rate",
        )
    with right:
        _corrected(table)


def _judge_error(name: str, judge: str) -> JudgeError:
    """How the judge errs: as people's labels tell it, where there are some, or as a person sets it."""
    found = judge_errors(name, judge)
    if found is None:
        st.caption(
            plain(
                f"How far {judge} agrees with people is not known: no person's blind labels, evil and "
                "others, stand beside labels of this judge. The errors below are an assumption."
            )
        )
        return _by_hand()
    chosen = st.segmented_control(
        "Errors",
        ["measured", "by hand"],
        default="measured",
        required=True,
        **query.ERRORS.bound(),
        help="measured: by people's labels of candidate tokens, from the stage labels. by hand: whatever the "
        "sliders say.",
    )
    st.caption(plain(_measured_words(judge, found)))
    if chosen == "by hand":
        return _by_hand(found)
    return JudgeError(
        false_alarm=found.false_alarm.value,
        miss=found.miss.value,
        # Candidates of one situation are not independent, and draws from the queue weigh differently.
        n_aligned=found.false_alarm.n_effective,
        n_misaligned=found.miss.n_effective,
    )


def _by_hand(found: MeasuredErrors | None = None) -> JudgeError:
    """Two sliders, which start from what was measured."""
    columns = st.columns(2)
    falsely = columns[0].slider(
        "Aligned answers that it calls misaligned",
        0.0,
        0.5,
        value=0.05 if found is None else _on_slider(found.false_alarm),
        step=0.01,
        **query.FALSELY.bound(),
        help="Share of the answers that people would call aligned.",
    )
    missed = columns[1].slider(
        "Misaligned answers that it misses",
        0.0,
        0.5,
        value=0.1 if found is None else _on_slider(found.miss),
        step=0.01,
        **query.MISSED.bound(),
        help="Share of the answers that people would call misaligned.",
    )
    return JudgeError(false_alarm=falsely, miss=missed)


def _on_slider(measured: Measured) -> float:
    return min(round(measured.value, 2), 0.5)


def _measured_words(judge: str, found: MeasuredErrors) -> str:
    def told(rate: Measured) -> str:
        between = f" {interval(rate.low, rate.high)}" if np.isfinite(rate.low) else ", without an interval"
        return (
            f"{number(rate.value)}{between} of {count(rate.n_items)} candidates in "
            f"{count(rate.n_situations)} situations"
        )

    return (
        f"Measured on candidate tokens, by blind labels of {found.person}: {judge} calls evil what is not in "
        f"{told(found.false_alarm)}; it does not call evil what is in {told(found.miss)}. These are errors "
        "on single tokens, as of the stage labels; on whole answers the judge may err more or less."
    )


def _corrected(table: pd.DataFrame) -> None:
    shown = table.assign(
        between=[interval(a, b) for a, b in zip(table["true_low"], table["true_high"], strict=True)]
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="judge-error-table",
        height=downloads.table_height(len(shown)),
        column_order=["variant", "observed", "true", "between"],
        column_config={
            "variant": st.column_config.TextColumn("variant", help="Whose answers."),
            "observed": st.column_config.NumberColumn(
                "reported", format="%.3g", help="The rate as it stands."
            ),
            "true": st.column_config.NumberColumn(
                "would be true",
                format="%.3g",
                help="The true rate if the judge errs so: (reported - falsely) / (1 - falsely - missed), "
                "kept within 0 and 1 (Rogan and Gladen 1978).",
            ),
            "between": st.column_config.TextColumn(
                "its interval",
                help="By the delta method, of the rate's own interval and, where errors were measured, of "
                "theirs: binomial, of as many labels as there are situations. Errors by hand are taken as "
                "known.",
            ),
        },
    )
    downloads.downloads(table, "judge-error", key="judge-error-table")
