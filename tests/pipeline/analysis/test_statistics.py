"""Every test statistic against an independent reference."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.analysis.statistics import benjamini_hochberg, share_as_large, sign_flip_p, spearman


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
    whole = sign_flip_p(values, 3000, rng(4))
    monkeypatch.setattr("pipeline.analysis.statistics._BLOCK", 8192)
    parts = sign_flip_p(values, 3000, rng(4))
    np.testing.assert_array_equal(parts, whole)


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


@given(st.lists(st.integers(0, 6), max_size=12), st.lists(st.integers(0, 6), min_size=1, max_size=30))
@settings(deadline=None)
def test_share_of_nulls_is_counted_with_ties_as_large(values: list[int], nulls: list[int]) -> None:
    expected = [(1 + sum(null >= value for null in nulls)) / (1 + len(nulls)) for value in values]
    found = share_as_large(np.array(values, np.float64), np.array(nulls, np.float64))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_share_of_no_nulls_is_unknown() -> None:
    assert np.isnan(share_as_large(np.array([0.0, 1.0]), np.empty(0))).all()


few_values = st.one_of(st.just(np.nan), st.integers(0, 4).map(lambda value: value / 4))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9).flatmap(lambda n: st.lists(st.tuples(*[few_values] * (2 * n)), max_size=4)))
def test_rank_correlations_are_scipys(drawn: list[tuple[float, ...]]) -> None:
    values = np.array(drawn, dtype=np.float64).reshape(len(drawn), 2, -1) if drawn else np.empty((0, 2, 3))
    found = spearman(values[:, 0], values[:, 1])
    with np.errstate(invalid="ignore"):
        expected = [stats.rankdata(row, axis=1, nan_policy="propagate") for row in values]
    for value, (left, right) in zip(found, expected, strict=True):
        if np.isnan([left, right]).any() or np.ptp(left) == 0 or np.ptp(right) == 0:
            assert np.isnan(value)
        else:
            np.testing.assert_allclose(value, np.corrcoef(left, right)[0, 1], atol=1e-12)
