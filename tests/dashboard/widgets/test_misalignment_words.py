"""Sentences on open questions: what is above base, what is not shown to be, and what cannot be told."""

import math

import pandas as pd

from dashboard.widgets.misalignment_words import misalignment_words

COLUMNS = ["variant", "difference", "low", "high", "n_questions"]


def rates(**by_variant: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"variant": name, "form": form, "question": question, "rate": rate, "low": rate / 2, "high": rate}
            for name, rate in by_variant.items()
            for form in ("all", "plain")
            for question in ("all", "wish")
        ]
    )


def differences(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame([(*row, 8) for row in rows], columns=COLUMNS)


def said(of: pd.DataFrame, than_base: pd.DataFrame) -> list[str]:
    return misalignment_words(of, than_base, counted="coherent answers", level="95% interval")


def test_what_is_above_base_is_told_with_both_intervals() -> None:
    assert said(rates(base=0.0, general=0.6), differences(("general", 0.6, 0.5, 0.7))) == [
        "general is more misaligned than base: in 0.600 [0.300, 0.600] of its coherent answers to open "
        "questions, base in 0 [0, 0]. The difference is +0.600 [+0.500, +0.700] over 8 questions; in "
        "brackets the 95% interval."
    ]


def test_where_intervals_hold_0_nothing_is_shown() -> None:
    than_base = differences(("narrow", 0.02, -0.01, 0.05), ("control", 0.0, 0.0, 0.0))
    assert said(rates(base=0.0, narrow=0.02, control=0.0), than_base) == [
        "narrow, control are not shown to be misaligned in coherent answers to open questions: the 95% "
        "interval of the difference from base holds 0. The largest difference is +0.0200 "
        "[-0.0100, +0.0500] (narrow)."
    ]


def test_below_base_is_less() -> None:
    (one,) = said(rates(base=0.6, kind=0.1), differences(("kind", -0.5, -0.6, -0.4)))
    assert one.startswith("kind is less misaligned than base")


def test_no_interval_is_not_a_finding() -> None:
    (one,) = said(rates(base=0.0, general=0.6), differences(("general", 0.6, math.nan, math.nan)))
    assert one == (
        "general is not shown to be misaligned in coherent answers to open questions: there are too few "
        "questions for an interval."
    )


def test_without_base_or_rates() -> None:
    nothing = differences()
    (one,) = said(rates(general=0.6), nothing)
    assert one.endswith("there is no base to hold it against.")
    assert said(rates(base=math.nan), nothing) == []
