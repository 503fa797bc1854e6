"""Balanced accuracy of a name, its interval, and the control."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score

from pipeline.analysis.intervals import exact_interval
from pipeline.analysis.name_scores import beats_control, name_score, other_names


@given(st.integers(0, 40), st.integers(1, 40), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_that_of_clopper_and_pearson(k: int, n: int, confidence: float) -> None:
    k = min(k, n)
    theirs = binomtest(k, n).proportion_ci(confidence, method="exact")
    assert exact_interval(k, n, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_no_trial_has_no_interval() -> None:
    assert all(map(math.isnan, exact_interval(0, 0, 0.95)))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_a_score_is_the_mean_of_both_shares(said: list[tuple[bool, bool]]) -> None:
    fires = np.repeat([True, False], len(said))
    told = np.array([one for pair in zip(*said, strict=True) for one in pair])
    score = name_score(fires.tolist(), told.tolist(), 0.95)
    assert score.balanced_accuracy == pytest.approx(balanced_accuracy_score(fires, told))
    assert score.low <= score.balanced_accuracy <= score.high


def test_as_many_of_either_are_needed() -> None:
    with pytest.raises(ValueError, match="as many"):
        name_score([True, True, False], [True, True, False], 0.95)
    with pytest.raises(ValueError, match="as many"):
        name_score([True, False], [True], 0.95)
    assert math.isnan(name_score([], [], 0.95).low)


@given(st.lists(st.sampled_from(["", "a", "A", "b", "c"]), max_size=30), st.integers(0, 5))
def test_a_control_is_anothers_name_wherever_there_is_one(names: list[str], seed: int) -> None:
    chosen = other_names(names, seed)
    for own, place in zip(names, chosen, strict=True):
        others = [name for name in names if name and name.casefold() != own.casefold()]
        if own and others:
            assert names[place].casefold() != own.casefold()
            assert names[place]
        else:
            assert place == -1


def test_a_name_that_changes_changes_few_controls() -> None:
    names = [f"name {number}" for number in range(100)]
    before = other_names(names, 3)
    assert sorted(before) == list(range(100)), "each is the control of one"
    names[7] = ""
    after = other_names(names, 3)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 2


def test_a_name_must_lie_above_chance_and_above_its_control() -> None:
    low = np.array([0.6, 0.6, 0.5, 0.4, np.nan, 0.6])
    shuffled = np.array([0.5, 0.6, 0.4, 0.2, 0.5, np.nan])
    assert beats_control(low, shuffled).tolist() == [True, False, False, False, False, False]
