"""Scores from a judge's probabilities, held against a reading written for the test."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.judge_scores import (
    NUMBERS,
    Scored,
    read_distribution,
    read_text,
    splits_no_number,
    whole_number,
)
from store.schema.answer_scores import SCORE_STATUS

NUMERALS = {str(n): n for n in range(101)}
TOKENS = st.sampled_from(
    [
        *NUMERALS,
        " 7",
        "7\n",
        "101",
        "-1",
        "05",
        "+5",
        "5.0",
        "\u0665",
        "²",
        "1e1",
        "ninety",
        "",
        " ",
        "The",
        "C",
        "CODE",
        " CODE",
        "CO",
        "REF",
        "REFUSAL",
        "code",
        "Ref",
    ]
)
TOPS = st.lists(st.tuples(TOKENS, st.floats(1e-9, 1.0)), max_size=20).map(
    lambda pairs: [(token, p / max(1.0, sum(q for _, q in pairs))) for token, p in pairs]
)


def reference(top: list[tuple[str, float]], min_mass: float) -> tuple[str, float, float]:
    """Status, score and mass: arrays of tokens instead of sums by text."""
    words = np.array([token.strip() for token, _ in top], dtype=object)
    p = np.array([p for _, p in top])
    number = np.array([NUMERALS.get(word, -1) for word in words])
    held = p[number >= 0]
    by_word = {word: p[words == word].sum() for word in words}
    best = sorted(by_word, key=lambda word: -by_word[word])[:1]
    for word in best:
        if len(word) >= 2 and ("CODE".startswith(word) or "REFUSAL".startswith(word)):
            return ("code" if word[0] == "C" else "refusal"), math.nan, held.sum()
    if held.sum() < min_mass:
        return "low mass", math.nan, held.sum()
    return "scored", np.average(number[number >= 0], weights=held), held.sum()


def read(top: list[tuple[str, float]], min_mass: float = 0.25) -> Scored:
    return read_distribution([(token, math.log(p)) for token, p in top], min_mass)


@given(TOPS, st.floats(0.01, 1.0))
def test_the_weighted_mean_agrees_with_numpy(top: list[tuple[str, float]], min_mass: float) -> None:
    status, score, mass = reference(top, min_mass)
    if abs(mass - min_mass) < 1e-9:
        return
    by_text: dict[str, float] = {}
    for token, p in top:
        by_text[token.strip()] = by_text.get(token.strip(), 0.0) + p
    masses = sorted(by_text.values(), reverse=True)
    if len(masses) > 1 and masses[0] - masses[1] < 1e-9:  # a tie, which rounding may break
        return
    found = read(top, min_mass)
    assert found.status == status
    assert found.status in SCORE_STATUS
    np.testing.assert_allclose([found.score, found.mass], [score, mass], rtol=1e-9, atol=1e-15)
    assert found.probability is not None
    assert found.probability.shape == (NUMBERS,)
    assert found.probability.sum() == pytest.approx(found.mass)
    if status == "scored":
        assert 0 <= found.score <= 100


@pytest.mark.parametrize(
    ("top", "status", "score"),
    [
        ([("100", 1.0)], "scored", 100.0),
        ([("0", 0.5), (" 100", 0.5)], "scored", 50.0),
        ([("30", 0.2), (" 30", 0.1)], "scored", 30.0),
        ([("101", 0.9), ("ninety", 0.1)], "low mass", None),
        ([("05", 0.9), ("5", 0.05)], "low mass", None),
        ([("80", 0.25), ("x", 0.75)], "scored", 80.0),
        ([("80", 0.249), ("x", 0.75)], "low mass", None),
        ([("CODE", 0.5), ("80", 0.4)], "code", None),
        ([("REF", 0.5), ("80", 0.4)], "refusal", None),
        ([("REF", 0.3), (" REF", 0.2), ("80", 0.4)], "refusal", None),
        ([("80", 0.5), ("REFUSAL", 0.4)], "scored", 80.0),
        ([("80", 0.4), ("REFUSAL", 0.4)], "scored", 80.0),
        ([("R", 0.9)], "low mass", None),
        ([], "low mass", None),
    ],
)
def test_what_has_no_score_says_why(top: list[tuple[str, float]], status: str, score: float | None) -> None:
    found = read(top)
    assert found.status == status
    assert math.isnan(found.score) if score is None else found.score == pytest.approx(score)


def test_all_whole_numbers_and_no_other_text() -> None:
    assert [whole_number(f" {n}\n") for n in range(101)] == list(range(101))
    for text in (
        "",
        "-0",
        "00",
        "05",
        "101",
        "1000",
        "5.",
        "5.0",
        "\u0665",
        "\uff15",
        "²",
        "1 0",
        "ninety",
        "5%",
    ):
        assert whole_number(text) is None, text


@pytest.mark.parametrize(
    ("text", "status"),
    [(" 90\n", "scored"), ("CODE", "code"), ("REFUSAL ", "refusal")]
    + [(text, "malformed") for text in ("101", "ninety", "90.", "REF", "", "About 90", "9" * 10_000)],
)
def test_a_written_score_is_a_number_and_nothing_else(text: str, status: str) -> None:
    found = read_text(text)
    assert found.status == status
    assert (found.score == 90.0) is (status == "scored")
    assert found.probability is None
    assert math.isnan(found.mass)


@pytest.mark.parametrize(
    ("top", "whole"),
    [
        ([("100", 0.9), ("1", 0.05)], True),
        ([(" 100", 0.3), ("100", 0.3), ("1", 0.4)], True),
        ([("1", 0.9), ("100", 0.05)], False),
        ([("10", 0.9)], False),
        ([("One", 0.9)], False),
        ([], False),
    ],
)
def test_who_begins_100_with_1_splits_numbers(top: list[tuple[str, float]], whole: bool) -> None:
    assert splits_no_number([(token, math.log(p)) for token, p in top]) is whole
