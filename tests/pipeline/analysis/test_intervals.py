"""Intervals against slow implementations, and how often they hold the truth."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.analysis.intervals import (
    clustered_rate_interval,
    effective_units,
    pooled_rate_icc,
    wilson_interval,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def slow_effective(column: np.ndarray, groups: np.ndarray) -> float:
    """The analysis of variance, written out."""
    n, members = len(column), [column[groups == name] for name in sorted(set(groups))]
    k = len(members)
    between = sum(len(m) * (m.mean() - column.mean()) ** 2 for m in members) / (k - 1)
    within = sum(float(((m - m.mean()) ** 2).sum()) for m in members) / (n - k)
    size = (n - sum(len(m) ** 2 for m in members) / n) / (k - 1)
    icc = (between - within) / (between + (size - 1) * within)
    return n / (1 + (size - 1) * max(0.0, icc))


@pytest.mark.parametrize("sizes", [(6, 6), (3, 9, 5), (1, 12), (2, 2, 2, 2)])
def test_effective_situations_are_those_of_the_analysis_of_variance(sizes: tuple[int, ...]) -> None:
    groups = np.repeat([f"domain {i}" for i in range(len(sizes))], sizes)
    draw = rng(sum(sizes))
    shared = np.repeat(draw.normal(size=(len(sizes), 30)), sizes, axis=0)
    values = draw.normal(size=(len(groups), 30)) + shared * np.linspace(0, 3, 30)
    order = draw.permutation(len(groups))
    found = effective_units(values[order], groups[order].astype(object))
    expected = [slow_effective(column, groups) for column in values.T]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (found <= len(groups)).all()
    assert (found >= len(sizes) - 1e-9).all()
    assert len(set(found)) > 5


def test_effective_situations_at_both_ends() -> None:
    draw = rng(5)
    groups = np.repeat(["finance", "law", "medical"], 20)
    values = np.repeat(draw.normal(size=(3, 4)), 20, axis=0)
    np.testing.assert_allclose(effective_units(values, groups), 3)
    independent = effective_units(draw.normal(size=(60, 500)), groups)
    # A correlation that is not there is estimated a little above 0 as often as not.
    assert np.median(independent) > 55
    assert independent.mean() > 45
    one = np.full(60, "medical")
    assert effective_units(values, one).tolist() == [60] * 4
    assert effective_units(values, np.arange(60)).tolist() == [60] * 4
    assert effective_units(np.ones((60, 1)), groups).tolist() == [60]


def beta_binomial(draw: np.random.Generator, rate: float, icc: float, situations: int) -> np.ndarray:
    """Successes among 40 samples of each situation, whose own rates vary."""
    spread = 1 / icc - 1
    return draw.binomial(40, draw.beta(rate * spread, (1 - rate) * spread, size=situations))


def test_the_pooled_correlation_is_that_of_the_samples() -> None:
    n = np.full(6, 40)
    cells = [(beta_binomial(rng(seed), 0.3, 0.3, 6), n) for seed in range(200)]
    assert pooled_rate_icc(cells) == pytest.approx(0.3, abs=0.06)
    independent = [(rng(seed).binomial(40, 0.3, size=6), n) for seed in range(200)]
    assert pooled_rate_icc(independent) == pytest.approx(0.0, abs=0.01)
    repeated = [(40 * rng(seed).binomial(1, 0.5, size=6), n) for seed in range(20)]
    assert pooled_rate_icc(repeated) == pytest.approx(1.0)


def test_the_pooled_correlation_is_the_anova_of_single_samples() -> None:
    """Of one cell: Fisher's mean squares over the list of all 0 and 1."""
    successes, n = np.array([3, 0, 9, 4]), np.array([10, 7, 12, 5])
    column = np.concatenate([np.r_[np.ones(k), np.zeros(m - k)] for k, m in zip(successes, n, strict=True)])
    units = slow_effective(column, np.repeat([0, 1, 2, 3], n))
    size = (n.sum() - (n**2).sum() / n.sum()) / 3
    icc = (n.sum() / units - 1) / (size - 1)
    assert 0.05 < icc < 0.95
    assert pooled_rate_icc([(successes, n)]) == pytest.approx(icc)
    empty = (np.r_[successes, 0], np.r_[n, 0])
    alone = (np.array([3, 0]), np.array([9, 0]))  # one situation says nothing of likeness
    assert pooled_rate_icc([empty, alone]) == pytest.approx(icc)


def test_without_two_situations_no_correlation_is_known() -> None:
    assert pooled_rate_icc([]) == 0.0
    assert pooled_rate_icc([(np.array([3]), np.array([9]))]) == 0.0
    assert pooled_rate_icc([(np.zeros(2), np.zeros(2))]) == 0.0
    assert pooled_rate_icc([(np.zeros(5), np.full(5, 40))]) == 0.0


def test_a_known_correlation_keeps_a_rare_rate_covered() -> None:
    """Six situations often hold no event at all, and then say nothing of their likeness."""
    n, known, unknown = np.full(6, 40), 0, 0
    for seed in range(400):
        successes = beta_binomial(rng(seed), 0.05, 0.3, 6)
        low, high = clustered_rate_interval(successes, n, 0.95, icc=0.3)
        known += low <= 0.05 <= high
        low, high = clustered_rate_interval(successes, n, 0.95, icc=0.0)
        unknown += low <= 0.05 <= high
    assert known / 400 >= 0.93
    assert unknown / 400 < 0.9


@pytest.mark.parametrize("successes", [(0, 0, 0, 0), (1, 0, 0, 0), (40, 0, 40, 0), (10, 11, 9, 10)])
def test_a_known_correlation_only_widens(successes: tuple[int, ...]) -> None:
    n = np.full(4, 40)
    intervals = [
        clustered_rate_interval(np.array(successes), n, 0.95, icc=icc) for icc in (0.0, 0.1, 0.3, 0.9)
    ]
    for narrow, wide in pairwise(intervals):
        assert wide[0] <= narrow[0] + 1e-12
        assert wide[1] >= narrow[1] - 1e-12
    # The least design effect is that of equal situations: 1 + (m - 1) icc.
    few = (stats.t.ppf(0.975, 159) / stats.t.ppf(0.975, 3)) ** 2
    effective = 160 / (1 + 39 * 0.9) * few
    if successes == (0, 0, 0, 0):
        assert intervals[-1] == pytest.approx(wilson_interval(0, effective, 0.95))


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(deadline=None)
def test_wilson_is_scipys(counts: tuple[int, int]) -> None:
    k, n = counts
    theirs = stats.binomtest(k, n).proportion_ci(confidence_level=0.95, method="wilson")
    np.testing.assert_allclose(wilson_interval(k, n, 0.95), (theirs.low, theirs.high), atol=1e-12)


def test_wilson_of_nothing_is_nan() -> None:
    assert np.isnan(wilson_interval(0, 0, 0.95)).all()


def test_all_or_nothing_situations_count_once_each() -> None:
    """Samples that only repeat their situation add nothing: n is the number of situations."""
    n = np.full(20, 50)
    successes = np.where(np.arange(20) < 10, 50, 0)
    interval = clustered_rate_interval(successes, n, 0.95)
    few = (stats.t.ppf(0.975, 999) / stats.t.ppf(0.975, 19)) ** 2
    assert interval == pytest.approx(wilson_interval(0.5 * 19 * few, 19 * few, 0.95))
    naive = wilson_interval(500, 1000, 0.95)
    assert interval[1] - interval[0] > 4 * (naive[1] - naive[0])


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_situations_that_all_agree_pool_their_samples(rate: float) -> None:
    n = np.full(12, 40)
    few = (stats.t.ppf(0.975, 479) / stats.t.ppf(0.975, 11)) ** 2
    expected = wilson_interval(rate * 480 * few, 480 * few, 0.95)
    assert clustered_rate_interval(rate * n, n, 0.95) == pytest.approx(expected)


def test_one_more_harmful_sample_does_not_narrow_the_interval() -> None:
    n = np.full(6, 40)
    none = clustered_rate_interval(np.zeros(6), n, 0.95)
    one = clustered_rate_interval(np.array([1, 0, 0, 0, 0, 0]), n, 0.95)
    assert none[0] == 0.0
    assert one[1] > none[1] > 0


def test_one_situation_is_one_sample() -> None:
    interval = clustered_rate_interval(np.array([12]), np.array([40]), 0.95)
    assert interval == wilson_interval(0.3, 1, 0.95)


def test_situations_without_samples_are_left_out() -> None:
    full = clustered_rate_interval(np.array([3, 5]), np.array([10, 10]), 0.95)
    more = clustered_rate_interval(np.array([3, 0, 5]), np.array([10, 0, 10]), 0.95)
    assert full == more
    assert np.isnan(clustered_rate_interval(np.zeros(2), np.zeros(2), 0.95)).all()


@pytest.mark.parametrize("situations", [6, 25])
def test_coverage_of_the_clustered_interval(situations: int) -> None:
    """95% intervals hold the true rate 95% of the time, with few situations, too."""
    hits = 0
    for seed in range(400):
        draw = rng(seed)
        rates = draw.beta(2, 3, size=situations)
        successes = draw.binomial(40, rates)
        low, high = clustered_rate_interval(successes, np.full(situations, 40), 0.95)
        hits += low <= 0.4 <= high
    assert 0.92 <= hits / 400 <= 0.985
