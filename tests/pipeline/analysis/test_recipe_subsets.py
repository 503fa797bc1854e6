"""With how few features: planted effects of known shape, and nothing where the whole does nothing."""

from collections.abc import Callable
from itertools import combinations
from math import factorial

import numpy as np
import pytest

from pipeline.analysis.recipe_subsets import (
    UNKNOWN,
    Subsets,
    order_of,
    situation_means,
    subset_group,
    worth_of,
)
from pipeline.params.recipes import RecipeParams
from store.schema.recipes import RECIPES

PARAMS = RecipeParams(reached=[0.5, 0.9], min_situations=5, controls=4)
N = 4
Effect = Callable[[frozenset[int]], float]


def both(chosen: frozenset[int]) -> float:
    """Features 1 and 3 act together only; the others not at all."""
    return 0.4 if {1, 3} <= chosen else 0.0


def either(chosen: frozenset[int]) -> float:
    """Feature 1 or 3 suffices."""
    return 0.4 if {1, 3} & chosen else 0.0


def added(chosen: frozenset[int]) -> float:
    """Each adds its own: 2, then 0, then 3, and 1 works against."""
    return float(sum((0.1, -0.05, 0.3, 0.05)[each] for each in chosen))


def worth(effect: Effect) -> np.ndarray:
    whole, n = frozenset(range(N)), 6
    alone = [effect(frozenset({each})) for each in range(N)]
    without = [effect(whole - {each}) for each in range(N)]
    return worth_of(np.tile(alone, (n, 1)), np.tile(without, (n, 1)), np.full(n, effect(whole)))


@pytest.mark.parametrize(
    ("effect", "first"), [(both, {1, 3}), (either, {1}), (added, {2}), (lambda one: -added(one), {2})]
)
def test_what_is_needed_comes_first(effect: Effect, first: set[int]) -> None:
    order = order_of(worth(effect), effect(frozenset(range(N))))
    assert set(order[: len(first)]) == first
    assert sorted(order) == list(range(N))


def test_of_what_adds_up_it_is_shapleys_value() -> None:
    whole = frozenset(range(N))
    values = np.zeros(N)
    for each in whole:
        for size in range(N):
            for others in combinations(whole - {each}, size):
                gain = added(frozenset(others) | {each}) - added(frozenset(others))
                values[each] += factorial(size) * factorial(N - 1 - size) / factorial(N) * gain
    np.testing.assert_allclose(worth(added).mean(axis=0), values, atol=1e-12)
    assert order_of(worth(added), added(whole)) == [2, 0, 3, 1]


def subsets(name: str, change: np.ndarray) -> Subsets:
    k = change.shape[1]
    return Subsets(
        name=name,
        members=[(0, place) for place in range(k)],
        settings=[f"{place:064x}" for place in range(k)],
        worth=np.full((2, k), 0.1),
        change=change,
    )


def test_the_fewest_are_counted_by_the_share_of_the_whole() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(scale=0.02, size=(12, 1))
    rises, falls = (sign * (np.array([0.1, 0.3, 0.47, 0.5]) + noise) for sign in (1.0, -1.0))
    one = 0.2 + random.normal(scale=0.02, size=(12, 1))
    nothing = random.normal(scale=0.05, size=(12, 3))
    few = rises[:4]
    made = [("rises", rises), ("falls", falls), ("one", one), ("nothing", nothing), ("few", few)]
    group = subset_group(
        [subsets(name, change) for name, change in made], PARAMS, confidence=0.95, resamples=200, seed=0
    )
    assert group["fewest"].values.tolist() == [[2, 3], [2, 3], [1, 1], [UNKNOWN] * 2, [UNKNOWN] * 2]
    assert group["reason"].values.tolist()[:3] == ["", "", ""]
    assert "cannot be told from nothing" in str(group["reason"].values[3])
    assert "4 situations with evil tokens are too few" in str(group["reason"].values[4])
    mine = group.isel(subset=group["of"].values == 0)
    np.testing.assert_array_equal(mine["k"], [1, 2, 3, 4])
    np.testing.assert_allclose(mine["change"], rises.mean(axis=0))
    np.testing.assert_allclose(mine["share"], rises.mean(axis=0) / rises[:, -1].mean())
    assert mine["share"].values[-1] == 1.0
    assert (mine["low"] < mine["change"]).all()
    assert (mine["change"] < mine["high"]).all()
    assert mine["share_low"].values[1] < mine["share"].values[1] < mine["share_high"].values[1]
    assert np.isnan(group["share"].values[group["of"].values == 3]).all()
    schema = RECIPES.groups["fewer"]
    assert set(schema) == set(group.variables)
    for name, spec in schema.items():
        assert group[name].dims == spec.dims


def test_a_prompt_counts_where_all_is_known() -> None:
    of = [("a", "s"), ("a", "s"), ("a", "t"), ("b", "s")]
    values = np.array([[1.0, 3.0, np.nan, 5.0], [2.0, 4.0, 1.0, 7.0]])
    np.testing.assert_array_equal(situation_means(values, of), [[2.0, 3.0], [5.0, 7.0]])
    assert situation_means(values[:, 2:3], of[2:3]).shape == (0, 2)
    nothing = worth_of(np.empty((0, 3)), np.empty((0, 3)), np.empty(0))
    assert np.isnan(nothing).all()
    assert order_of(nothing, 0.0) == [0, 1, 2]


def test_without_recipes_the_group_is_empty() -> None:
    group = subset_group([], PARAMS, confidence=0.95, resamples=10, seed=0)
    assert group.sizes == {"recipe": 0, "reached": 2, "subset": 0}
    empty = subset_group([subsets("none", np.empty((0, 2)))], PARAMS, confidence=0.95, resamples=10, seed=0)
    assert empty["fewest"].values.tolist() == [[UNKNOWN, UNKNOWN]]
