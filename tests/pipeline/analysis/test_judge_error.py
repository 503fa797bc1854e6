"""What a judge of planted errors shows, and what is told from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.judge_error import JudgeError, corrected_rate, expected_rate

RATES = st.floats(0, 1)


def judged(truth: np.ndarray, a: float, b: float, rng: np.random.Generator) -> np.ndarray:
    """Whether such a judge calls each answer misaligned."""
    return np.where(truth, rng.random(truth.shape) >= b, rng.random(truth.shape) < a)


@pytest.mark.parametrize("p", [0.0, 0.02, 0.3, 0.9, 1.0])
@pytest.mark.parametrize(("a", "b"), [(0.0, 0.0), (0.05, 0.2), (0.3, 0.1), (0.5, 0.5), (1.0, 1.0)])
def test_planted_errors_give_the_expected_rate(p: float, a: float, b: float) -> None:
    rng = np.random.default_rng(0)
    n = 40_000
    shown = judged(rng.random(n) < p, a, b, rng).mean()
    expected = float(expected_rate(p, JudgeError(false_alarm=a, miss=b)))
    assert abs(shown - expected) <= 4 * math.sqrt(expected * (1 - expected) / n) + 1e-12


@given(p=RATES, a=st.floats(0, 0.45), b=st.floats(0, 0.45))
def test_back_and_forth(p: float, a: float, b: float) -> None:
    error = JudgeError(false_alarm=a, miss=b)
    rate, low, high = corrected_rate(shown := expected_rate(p, error), (shown, shown), error, 0.95)
    assert rate == pytest.approx(p, abs=1e-12)
    assert low == pytest.approx(p, abs=1e-12)
    assert high == pytest.approx(p, abs=1e-12)


@given(q=RATES, error=RATES, a=RATES, b=RATES, n=st.integers(1, 1000))
def test_all_of_it_is_a_rate_or_unknown(q: float, error: float, a: float, b: float, n: int) -> None:
    judge = JudgeError(false_alarm=a, miss=b, n_aligned=n, n_misaligned=n)
    found = corrected_rate(q, (q - error, q + 0.5 * error), judge, 0.9)
    if judge.informative:
        rate, low, high = map(float, found)
        assert 0 <= low <= rate <= high <= 1
    else:
        assert np.isnan(found).all()


def test_a_rate_below_what_errors_alone_show_is_none() -> None:
    error, shown = JudgeError(false_alarm=0.2, miss=0.1), np.array([0.1, 0.2, 0.95])
    rate, low, high = corrected_rate(shown, (shown - 0.02, shown + 0.02), error, 0.95)
    np.testing.assert_allclose(rate, [0, 0, 1])
    assert (low[:2] == 0).all()
    assert high[0] == 0 < high[1]


@pytest.mark.parametrize(("p", "a", "b"), [(0.2, 0.1, 0.15), (0.5, 0.05, 0.3), (0.1, 0.02, 0.02)])
def test_intervals_cover_the_truth_also_where_errors_are_measured_on_few_answers(
    p: float, a: float, b: float
) -> None:
    rng = np.random.default_rng(1)
    n, labelled, runs = 600, 60, 600
    covered = 0
    for _ in range(runs):
        shown = judged(rng.random(n) < p, a, b, rng).mean()
        error = JudgeError(
            false_alarm=rng.binomial(labelled, a) / labelled,
            miss=rng.binomial(labelled, b) / labelled,
            n_aligned=labelled,
            n_misaligned=labelled,
        )
        reach = 1.96 * math.sqrt(shown * (1 - shown) / n)
        _, low, high = corrected_rate(shown, (shown - reach, shown + reach), error, 0.95)
        covered += bool(low <= p <= high)
    assert covered / runs >= 0.93


def test_a_judge_who_never_errs_leaves_the_rate_and_its_interval() -> None:
    """Also where a bound is farther than the other, as at a rate of 0."""
    error = JudgeError(false_alarm=0.0, miss=0.0)
    shown, low, high = np.array([0.0, 0.76]), np.array([0.0, 0.505]), np.array([0.206, 0.908])
    np.testing.assert_allclose(corrected_rate(shown, (low, high), error, 0.95), [shown, low, high])


@pytest.mark.parametrize("wrong", [{"false_alarm": 1.1, "miss": 0.0}, {"false_alarm": 0.0, "miss": math.nan}])
def test_what_is_no_probability_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        JudgeError(**wrong)
    with pytest.raises(ValueError, match="no answers"):
        JudgeError(false_alarm=0.1, miss=0.1, n_aligned=0)
