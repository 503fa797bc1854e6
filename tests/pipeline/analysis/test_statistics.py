"""Every statistic against an independent reference."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.analysis.statistics import (
    _quantiles,
    benjamini_hochberg,
    bootstrap_interval,
    clustered_rate_interval,
    sign_flip_p,
    wilson_interval,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def scipy_sign_flip(values: np.ndarray, n_resamples: float) -> Any:
    return stats.permutation_test(
        (values,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        n_resamples=n_resamples,
        vectorized=True,
        rng=rng(5),
    ).pvalue


@pytest.mark.parametrize("n", [2, 5, 8, 11])
def test_exact_p_is_scipys(n: int) -> None:
    values = rng(n).normal(0.4, 1, size=(n, 6))
    expected = [scipy_sign_flip(column, np.inf) for column in values.T]
    np.testing.assert_allclose(sign_flip_p(values, 2**n, rng()), expected, rtol=1e-12)


def test_ties_and_zeros_count_as_extreme() -> None:
    values = np.array([[1.0, 0.0, 0.4], [0.0, 0.0, 0.1], [2.0, 0.0, 0.2], [0.0, 0.0, -0.3]])
    expected = [scipy_sign_flip(column, np.inf) for column in values.T]
    np.testing.assert_allclose(sign_flip_p(values, 100, rng()), expected, rtol=1e-12)
    assert sign_flip_p(values, 100, rng())[1] == 1


def test_random_flips_agree_with_scipy_and_with_the_exact_p() -> None:
    values = rng(3).normal(0.5, 1, size=(14, 4))
    exact = sign_flip_p(values, 2**14, rng())
    drawn = sign_flip_p(values, 2**14 - 1, rng(1))
    error = 4 * np.sqrt(exact * (1 - exact) / 2**14) + 2 / 2**14
    assert (np.abs(drawn - exact) < error).all()
    theirs = [scipy_sign_flip(column, 9999) for column in values.T]
    assert (np.abs(drawn - theirs) < error + 4 * np.sqrt(exact * (1 - exact) / 9999)).all()


def test_random_p_is_never_zero() -> None:
    assert sign_flip_p(np.ones((40, 1)), 999, rng())[0] == 1 / 1000


def test_p_is_uniform_under_the_null() -> None:
    """Values symmetric about 0: p at most alpha in a share alpha of the features."""
    values = rng(7).standard_t(3, size=(30, 4000))
    p = sign_flip_p(values, 2000, rng(8))
    for alpha in (0.01, 0.05, 0.2, 0.5):
        share = (p <= alpha).mean()
        assert abs(share - alpha) < 4 * np.sqrt(alpha * (1 - alpha) / 4000) + 1 / 2000
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_a_planted_effect_is_found() -> None:
    values = rng(9).normal(size=(30, 50))
    values[:, 3] += 1.2
    p = sign_flip_p(values, 5000, rng())
    assert p[3] < 0.001
    assert np.argmin(p) == 3


def test_a_block_of_features_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = rng(2).normal(size=(25, 40))
    whole = sign_flip_p(values, 3000, rng(4)), *bootstrap_interval(values, 200, 0.9, rng(4))
    monkeypatch.setattr("pipeline.analysis.statistics._BLOCK", 8192)
    parts = sign_flip_p(values, 3000, rng(4)), *bootstrap_interval(values, 200, 0.9, rng(4))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("few", [2, 10**9])
def test_p_is_to_the_bit_what_float64_alone_gives(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """Sums are made in float32 first: ties, like sizes and far scales among them change no count."""
    monkeypatch.setattr("pipeline.analysis.statistics._FEW", few)
    values = rng(1).normal(size=(40, 12))
    values[:, 1] *= 1e-60
    values[:, 2] *= 1e200
    values[:, 3] = np.sign(values[:, 3])  # every eighth sum is a tie
    values[:, 4] = np.round(values[:, 4])
    values[:, 5] += 1e7 * (np.arange(40) == 7)  # one situation outweighs all
    values[:, 6] = 1 + 1e-9 * values[:, 6]
    values[:12, 7] = np.nan
    values[8:, 8] = 0  # enumerated
    values[10:, 9] = 0
    values[:, 10] = 0
    flips = 5000
    count = np.zeros(12)
    known = np.nan_to_num(values)
    bar = np.abs(known.sum(axis=0)) - 1e-12 * np.abs(known).sum(axis=0)
    generator = rng(2)
    for size in (4096, flips - 4096):
        signs = 1.0 - 2.0 * generator.integers(0, 2, size=(size, 40), dtype=np.int8)
        count += (np.abs(signs @ known) >= bar).sum(axis=0)
    expected = (1 + count) / (1 + flips)
    expected[10] = 1
    for column, n in ((8, 8), (9, 10)):
        every = np.array(list(product((1.0, -1.0), repeat=n)))
        expected[column] = np.mean(np.abs(every @ known[:n, column]) >= bar[column])
    np.testing.assert_array_equal(sign_flip_p(values, flips, rng(2)), expected)


def test_one_situation_proves_nothing_and_none_is_no_test() -> None:
    assert sign_flip_p(np.array([[5.0, 0.0]]), 100, rng()).tolist() == [1, 1]
    assert np.isnan(sign_flip_p(np.empty((0, 2)), 100, rng())).all()
    assert np.isnan(bootstrap_interval(np.empty((0, 2)), 100, 0.9, rng())).all()


def test_infinities_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p(np.array([[np.inf], [1.0]]), 100, rng())


@pytest.mark.parametrize("flips", [2**12, 2**12 - 1])
def test_missing_situations_are_as_if_they_were_not_there(flips: int) -> None:
    """Exact and random patterns: p over the known values of each feature alone."""
    values = rng(4).normal(0.4, 1, size=(12, 30))
    values[rng(5).random(values.shape) < 0.3] = np.nan
    values[:, 0] = np.nan
    values[:, 1] = rng(6).normal(0.4, 1, size=12)
    p = sign_flip_p(values, flips, rng())
    assert np.isnan(p[0])
    for column in range(1, 30):
        known = values[~np.isnan(values[:, column]), column]
        exact = scipy_sign_flip(known, np.inf)
        error = 0.0 if 2 ** len(known) <= flips else 4 * np.sqrt(exact * (1 - exact) / flips) + 2 / flips
        assert p[column] == pytest.approx(exact, rel=1e-12, abs=error)


def test_few_situations_are_enumerated_among_many_inactive_ones() -> None:
    """Flipping 0 changes nothing: p is that of the 9 situations in which the feature acts."""
    values = np.zeros((70, 2))
    values[::8, 0] = rng(1).normal(1, 1, size=9)
    values[:, 1] = rng(2).normal(size=70)
    exact = scipy_sign_flip(values[::8, 0], np.inf)
    for seed in range(3):
        assert sign_flip_p(values, 1000, rng(seed))[0] == pytest.approx(exact, rel=1e-12)


def test_bootstrap_leaves_missing_situations_out() -> None:
    """Against a loop that draws rows and averages what is known of them."""
    values = rng(1).exponential(size=(25, 4))
    values[rng(2).random(values.shape) < 0.4] = np.nan
    values[1:, 2] = np.nan  # one situation is known: some resamples hold it not at all
    values[:, 3] = np.nan
    low, high = bootstrap_interval(values, 20000, 0.9, rng())
    means = [[], [], []]
    draw = rng(3)
    for _ in range(20000):
        rows = draw.integers(0, 25, size=25)
        for column, found in enumerate(means):
            known = values[rows, column][~np.isnan(values[rows, column])]
            if len(known):
                found.append(known.mean())
    for column, found in enumerate(means):
        theirs = np.quantile(found, (0.05, 0.95))
        width = theirs[1] - theirs[0]
        assert abs(low[column] - theirs[0]) <= 0.03 * width
        assert abs(high[column] - theirs[1]) <= 0.03 * width
    assert low[2] == high[2] == values[0, 2]
    assert np.isnan([low[3], high[3]]).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0, 1))
@settings(deadline=None)
def test_quantiles_are_numpys(seed: int, n: int, share: float) -> None:
    values = rng(seed).normal(size=(n, 3))
    values[rng(seed + 1).random(values.shape) < 0.3] = np.nan
    values[0] = np.where(np.isnan(values).all(axis=0), 1.0, values[0])
    (ours,) = _quantiles(values, (share,))
    np.testing.assert_allclose(ours, np.nanquantile(values, share, axis=0), rtol=1e-12, atol=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
@settings(deadline=None)
def test_q_is_benjamini_and_hochbergs(p: list[float]) -> None:
    # Their definition, a feature at a time: the smallest p_j m / j over all p_j at least as large.
    m, ordered = len(p), sorted(p)
    expected = [
        min(1.0, *(ordered[j - 1] * m / j for j in range(1, m + 1) if ordered[j - 1] >= one)) for one in p
    ]
    np.testing.assert_allclose(benjamini_hochberg(np.array(p)), expected, rtol=1e-12)


def test_untested_features_stay_nan_and_do_not_count() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, np.nan])
    q = benjamini_hochberg(p)
    np.testing.assert_allclose(q[[0, 2, 3]], [0.03, 0.04, 0.04], rtol=1e-12)
    assert np.isnan(q[[1, 4]]).all()
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


def test_bootstrap_is_scipys() -> None:
    values = rng(1).exponential(size=(40, 3))
    low, high = bootstrap_interval(values, 20000, 0.9, rng())
    for column in range(3):
        theirs = stats.bootstrap(
            (values[:, column],),
            np.mean,
            n_resamples=20000,
            confidence_level=0.9,
            method="percentile",
            rng=rng(2),
        ).confidence_interval
        width = theirs.high - theirs.low
        assert abs(low[column] - theirs.low) < 0.03 * width
        assert abs(high[column] - theirs.high) < 0.03 * width


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
