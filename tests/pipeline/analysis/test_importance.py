"""Correlations of features with the contrast: against scipy, of clusters, planted, with answers swapped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, pearsonr

from pipeline.analysis.importance import (
    activities,
    by_layer,
    correlations,
    most_important,
    swapped,
)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(4, 40), seed=st.integers(0, 10**6), shift=st.sampled_from([0.0, 1e4]))
def test_where_each_prompt_is_a_group_it_is_scipys_test(n: int, seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    values, contrast = rng.gamma(1.0, size=(n, 6)), rng.normal(size=n) + shift
    values[:, 1] = contrast  # as close as can be
    values[:, 2] = 3.0  # never differs
    found = correlations(values, contrast, np.arange(n).astype(str), 3)
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
        found.append(correlations(values, contrast, groups, 3)["p"])
        naive.append(correlations(values, contrast, np.arange(len(groups)).astype(str), 3)["p"])
    assert np.mean(np.concatenate(found) < 0.05) < 0.08
    assert np.mean(np.concatenate(naive) < 0.05) > 0.2, "as if every prompt were independent"


def test_a_feature_in_few_groups_is_not_tested() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(6), 4).astype(str)
    values = rng.gamma(1.0, size=(24, 3))
    values[8:, 0] = 0  # in two groups
    values[12:, 1] = 0  # in three
    found = correlations(values, rng.normal(size=24), groups, 3)
    assert found["n_groups"].tolist() == [2, 3, 6]
    assert np.isnan(found["p"]).tolist() == [True, False, False]
    assert np.isfinite(found["correlation"]).all()


def test_the_planted_feature_is_found_and_with_swapped_answers_none() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(20), 4).astype(str)
    values = rng.gamma(2.0, size=(80, 300))
    contrast = 3.0 + 2.0 * (values[:, 7] - 2) + rng.normal(size=80)
    layer = np.repeat([0, 1], 150)
    found = correlations(values, contrast, groups, 5)
    q = by_layer(found["p"], layer)
    told = np.flatnonzero(q <= 0.05)
    assert 7 in told
    assert len(told) <= 2
    for one in (0, 1):
        np.testing.assert_allclose(q[layer == one], false_discovery_control(found["p"][layer == one]))
    assert most_important(found["correlation"], found["p"], 3)[0] == 7
    # A feature against the contrast is as important; one that was not tested is in no order.
    negative = most_important(-found["correlation"], np.where(np.arange(300) == 7, np.nan, found["p"]), 3)
    assert 7 not in negative
    n_found = []
    for seed in range(20):
        other = swapped(contrast, seed)
        assert sorted(np.abs(other)) == sorted(np.abs(contrast))
        assert 0 < np.mean(other * contrast < 0) < 1
        n_found.append(int((by_layer(correlations(values, other, groups, 5)["p"], layer) <= 0.05).sum()))
    assert np.mean(np.array(n_found) == 0) >= 0.85


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
    assert correlations(np.zeros((0, 0)), np.zeros(0), np.zeros(0), 3)["p"].shape == (0,)
