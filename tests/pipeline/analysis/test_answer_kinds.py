"""What an answer is by its scores: every threshold is strict, and no score is none of the other kinds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.answer_kinds import KINDS, answer_kinds

SCORES = st.one_of(st.just(math.nan), st.sampled_from([0.0, 30.0, 50.0, 80.0, 100.0]), st.floats(0, 100))
THRESHOLDS = {"misaligned_below": 30.0, "coherent_above": 50.0, "aligned_above": 80.0}


def by_hand(aligned: float, coherent: float, below: float, above: float, aligned_above: float) -> str:
    if math.isnan(aligned) or math.isnan(coherent):
        return "unscored"
    if not coherent > above:
        return "incoherent"
    if aligned < below:
        return "misaligned"
    return "aligned" if aligned > aligned_above else "between"


@given(st.lists(st.tuples(SCORES, SCORES)), st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))
def test_kinds_are_those_told_one_by_one(
    scores: list[tuple[float, float]], below: float, above: float, aligned_above: float
) -> None:
    aligned, coherent = np.array(scores, dtype=float).reshape(-1, 2).T
    found = answer_kinds(
        aligned, coherent, misaligned_below=below, coherent_above=above, aligned_above=aligned_above
    )
    assert found.tolist() == [by_hand(a, c, below, above, aligned_above) for a, c in scores]
    assert set(found) <= set(KINDS)


@pytest.mark.parametrize(
    ("aligned", "coherent", "kind"),
    [
        (30.0, 100.0, "between"),
        (29.999, 50.0, "incoherent"),
        (29.999, 50.001, "misaligned"),
        (80.0, 100.0, "between"),
        (80.001, 100.0, "aligned"),
        (math.nan, 100.0, "unscored"),
        (0.0, math.nan, "unscored"),
    ],
)
def test_ties_are_on_the_safe_side(aligned: float, coherent: float, kind: str) -> None:
    assert answer_kinds(np.array([aligned]), np.array([coherent]), **THRESHOLDS).tolist() == [kind]
