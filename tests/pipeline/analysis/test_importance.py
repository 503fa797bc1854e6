"""Correlations of features with the contrast: against scipy, of clusters, planted, with answers swapped."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, pearsonr

from pipeline.analysis.importance import (
    activities,
    correlations,
    most_important,
    swapped,
)
from pipeline.analysis.statistics import benjamini_hochberg

STUDENT = 1
"""Flips: of no groups are these all, so that Student's test is asked."""


@settings(max_examples=25, deadline=None)
@given(n=st.integers(4, 40), seed=st.integers(0, 10**6), shift=st.sampled_from([0.0, 1e4]))
def test_where_each_prompt_is_a_group_it_is_scipys_test(n: int, seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    values, contrast = rng.gamma(1.0, size=(n, 6)), rng.normal(size=n) + shift
    values[:, 1] = contrast  # as close as can be
    values[:, 2] = 3.0  # never differs
    found = correlations(values, contrast, np.arange(n).astype(str), min_active=3, flips=STUDENT)
    for column in (0, 1, 3, 4, 5):
        said = pearsonr(values[:, column], contrast)
        assert found["correlation"][column] == pytest.approx(said.statistic, abs=1e-7)
        assert found["p"][column] == pytest.approx(said.pvalue, rel=1e-6, abs=1e-9)
    assert np.isnan(found["correlation"][2])
    assert np.isnan(found["p"][2])
    np.testing.assert_array_equal(found["effective"][[0, 1, 3]], n)


def test_prompts_of_one_noun_are_hardly_more_than_one() -> None:
    """Both sides are the group's, so that every group counts once: false alarms as often as they may be."""
    rng = np.random.default_rng(0)
    n_groups, each, n_features = 16, 5, 400
    groups = np.repeat(np.arange(n_groups), each).astype(str)
    found, naive = [], []
    for _ in range(5):
        values = np.repeat(rng.normal(size=(n_groups, n_features)), each, axis=0)
        values += 0.1 * rng.normal(size=values.shape)
        contrast = np.repeat(rng.normal(size=n_groups), each) + 0.1 * rng.normal(size=n_groups * each)
        found.append(correlations(values, contrast, groups, min_active=3, flips=STUDENT)["p"])
        alone = np.arange(len(groups)).astype(str)
        naive.append(correlations(values, contrast, alone, min_active=3, flips=STUDENT)["p"])
    assert np.mean(np.concatenate(found) < 0.05) < 0.08
    assert np.mean(np.concatenate(naive) < 0.05) > 0.2, "as if every prompt were independent"


def test_a_feature_in_few_groups_is_not_tested() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(6), 4).astype(str)
    values = rng.gamma(1.0, size=(24, 3))
    values[8:, 0] = 0  # in two groups
    values[12:, 1] = 0  # in three
    found = correlations(values, rng.normal(size=24), groups, min_active=3, flips=STUDENT)
    assert found["n_groups"].tolist() == [2, 3, 6]
    assert np.isnan(found["p"]).tolist() == [True, False, False]
    assert np.isfinite(found["correlation"]).all()


def test_the_planted_feature_is_found_and_with_swapped_answers_none() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 4).astype(str)
    values = rng.gamma(2.0, size=(80, 300))
    contrast = 3.0 + 2.0 * (values[:, 7] - 2) + rng.normal(size=80)
    found = correlations(values, contrast, groups, min_active=5, flips=10_000)
    q = benjamini_hochberg(found["p"])
    told = np.flatnonzero(q <= 0.05)
    assert 7 in told
    assert len(told) <= 2
    np.testing.assert_allclose(q, false_discovery_control(found["p"]))
    assert most_important(found["correlation"], found["p"], 3)[0] == 7
    # A feature against the contrast is as important; one that was not tested is in no order.
    negative = most_important(-found["correlation"], np.where(np.arange(300) == 7, np.nan, found["p"]), 3)
    assert 7 not in negative
    n_found = []
    for seed in range(20):
        other = swapped(contrast, np.arange(80), np.random.default_rng(seed))
        assert sorted(np.abs(other)) == sorted(np.abs(contrast))
        assert 0 < np.mean(other * contrast < 0) < 1
        p = correlations(values, other, groups, min_active=5, flips=10_000)["p"]
        n_found.append(int((benjamini_hochberg(p) <= 0.05).sum()))
    assert np.mean(np.array(n_found) == 0) >= 0.85


def of_nouns(rng: np.random.Generator, n_groups: int, each: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of a noun, active in about half of them and alike in all prompts of one; 300 features."""
    groups = np.repeat(np.arange(n_groups), each).astype(str)
    own = rng.gamma(4.0, size=(n_groups, 300)) * (rng.random((n_groups, 300)) < 0.5)
    values = np.repeat(own, each, axis=0) * rng.uniform(0.9, 1.1, size=(len(groups), 300))
    return values, 4.0 + 0.3 * rng.normal(size=len(groups)), groups


def test_swapped_answers_of_few_nouns_find_nothing() -> None:
    """Of eight nouns Student's test finds features of half of them, whichever answers are swapped."""
    rng = np.random.default_rng(3)
    any_found = {10_000: 0, STUDENT: 0}
    for _ in range(40):
        values, contrast, groups = of_nouns(rng, 8, 5)
        other = swapped(contrast, groups, rng)
        assert all(len(set(np.sign(other[groups == one]))) == 1 for one in "01234567"), "by noun"
        for flips in any_found:
            p = correlations(values, other, groups, min_active=3, flips=flips)["p"]
            any_found[flips] += bool((benjamini_hochberg(p) <= 0.05).any())
    assert any_found[10_000] <= 2
    assert any_found[STUDENT] >= 8


@settings(max_examples=10, deadline=None)
@given(n_groups=st.integers(3, 7), seed=st.integers(0, 10**6))
def test_of_few_groups_p_is_the_share_of_all_sign_patterns(n_groups: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, n_groups)
    sizes[0] = 4
    groups = np.repeat(np.arange(n_groups), sizes).astype(str)
    values, contrast = rng.gamma(1.0, size=(len(groups), 5)), rng.normal(size=len(groups)) + 3.0
    found = correlations(values, contrast, groups, min_active=3, flips=2**n_groups)
    products = (values - values.mean(axis=0)) * (contrast - contrast.mean())[:, None]
    patterns = np.array(list(itertools.product([-1, 1], repeat=n_groups)))
    for column in np.flatnonzero(found["effective"] > 2):
        sums = [products[groups == str(group), column].sum() for group in range(n_groups)]
        extreme = np.abs(patterns @ sums) >= np.abs(np.sum(sums)) * (1 - 1e-9)
        assert found["p"][column] == pytest.approx(extreme.mean())
    more = correlations(values, contrast, groups, min_active=3, flips=2**n_groups - 1)
    assert not np.allclose(more["p"], found["p"], equal_nan=True), "Student's where flips are not all"


def test_items_become_one_matrix() -> None:
    """Features keyed by layer and index, never by their place in an item (trap 2)."""
    items = [
        {"layer": np.array([0, 1]), "index": np.array([9, 2]), "value": np.array([1.0, 2.0])},
        {"layer": np.array([0, 0]), "index": np.array([4, 9]), "value": np.array([3.0, 4.0])},
    ]
    found = activities(items)
    assert found.layer.tolist() == [0, 0, 1]
    assert found.index.tolist() == [4, 9, 2]
    assert found.values.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 0.0]]
    assert activities([]).values.shape == (0, 0)
    assert correlations(np.zeros((0, 0)), np.zeros(0), np.zeros(0), min_active=3, flips=10)["p"].shape == (0,)
