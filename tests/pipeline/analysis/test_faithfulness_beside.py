"""Orders that hold adapter nodes, and random adapters: tables that say what was planted."""

import numpy as np
import pytest

from pipeline.analysis.faithfulness import log_odds
from pipeline.analysis.faithfulness_sets import Moved, node_means, node_sets
from pipeline.analysis.faithfulness_tables import faithfulness_groups
from store.schema.vocabulary import ADAPTER_NODES, FEATURES_AND_NODES, NODES
from tests.support.shares import N_RANDOM, N_SITUATIONS, PARAMS, SETS, measured

FOCUS = "general@1.0"


def test_nodes_stand_beside_their_own_random_orders() -> None:
    prompts = [measured(number, number) for number in range(N_SITUATIONS)]
    found = faithfulness_groups(prompts, SETS, FOCUS, PARAMS, 0)["nodes"]
    for direction in ("given", "taken"):
        of = found.isel(direction=list(found["direction"].values).index(direction))
        np.testing.assert_allclose(of["fraction"].values, [[1.0] * 3, [0.25, 0.6, 1.0]], atol=1e-9)
        np.testing.assert_allclose(of["random_mean"].values, [[0.0] * 3, [0.9] * 3], atol=1e-9)
        np.testing.assert_allclose(of["random_low"].values, of["random_high"].values, atol=1e-9)
        assert of["fewest"].values.tolist() == [1, 2]
        # No random order of nodes is as large; of features with nodes each is.
        np.testing.assert_allclose(of["p_random"].values, [1 / (1 + N_RANDOM), 1.0])
    np.testing.assert_allclose(found["area"].values[:, 0], 1.0)
    np.testing.assert_allclose(found["area_random"].values, [[0.0, 0.9]] * 2, atol=1e-9)
    # Layer 1's attention is first in both; features have no place among nodes.
    names = list(found["node_order"].values), list(found["node"].values)
    assert names == ([NODES, FEATURES_AND_NODES], list(ADAPTER_NODES))
    assert found["rank"].values.tolist() == [[[2, 0], [0, 1]], [[3, 0], [0, 1]]]


def test_random_adapters_have_a_share_of_their_own_only_where_they_do_something() -> None:
    prompts = [measured(number, number) for number in range(N_SITUATIONS)]
    found = faithfulness_groups(prompts, SETS, FOCUS, PARAMS, 0)["nulls"]
    assert list(found["null"].values) == list(SETS.nulls)
    nothing, something = found["reason"].values
    assert "cannot be told from 0" in nothing
    assert something == ""
    assert np.isnan(found["own_fraction"].values[0]).all()
    np.testing.assert_allclose(found["own_fraction"].values[1], [[0.25, 0.5, 1.0]] * 2, atol=1e-9)
    # Of the focus adapter's difference both have one, by hand:
    odds = [
        [log_odds(getattr(one, name), one.evil) for one in prompts]
        for name in ("base", "adapted", "null_given")
    ]
    base, adapted, given = (np.mean(each, axis=0) for each in odds)
    np.testing.assert_allclose(found["fraction"].values, (given - base) / (adapted - base), atol=1e-12)
    np.testing.assert_allclose(found["fraction"].values[1], [[0.05, 0.1, 0.2]] * 2, atol=1e-9)
    change = np.mean(
        [log_odds(one.nulls, one.evil) - log_odds(one.base, one.evil) for one in prompts], axis=0
    )
    np.testing.assert_allclose(found["change"].values, change)
    assert found["change_low"].values[0] < 0 < found["change_high"].values[0]


@pytest.mark.parametrize("n", [0, 3, N_SITUATIONS])
def test_of_no_difference_nothing_is_known(n: int) -> None:
    prompts = [measured(number, number, change=0.0) for number in range(n)]
    found = faithfulness_groups(prompts, SETS, FOCUS, PARAMS, 0)
    nodes, nulls = found["nodes"], found["nulls"]
    assert np.isnan(nodes["fraction"].values).all()
    assert np.isnan(nodes["p_random"].values).all()
    assert (nodes["fewest"].values == -1).all()
    assert nodes["rank"].values.any(), "the order is known"
    assert np.isnan(nulls["fraction"].values).all()
    assert all(nulls["reason"].values)


def test_nodes_and_features_are_ordered_by_one_score() -> None:
    def moved(situation: str, scores: list[list[float]]) -> Moved:
        none = np.array([])
        return Moved(
            situation=("d", situation),
            layer=none,
            index=none,
            score=none,
            moved=none,
            node_score=np.array(scores),
        )

    # Two prompts of one situation count once.
    means = node_means(
        [moved("a", [[1, 0], [0, 4]]), moved("a", [[3, 0], [0, 4]]), moved("b", [[0, -2], [0, 4]])], 2
    )
    np.testing.assert_allclose(means, [[1, -1], [0, 4]])
    features, score = [(0, 9), (1, 5), (1, 6)], np.array([2.0, np.nan, -3.0])
    sets = node_sets(means, features, score, n=4, length=5, seed=0)
    assert sets.orders[0] == [(1, -2), (0, -1), (0, -2), (1, -1)]
    assert sets.orders[1] == [(1, -2), (0, 9), (0, -1), (0, -2), (1, -1)]
    everyone = {(layer, index) for layer in (0, 1) for index in (-1, -2)}
    assert all(len(each) == 4 for each in sets.random)
    assert all(set(order) == everyone for order in sets.random[0])
    assert {name for order in sets.random[1] for name in order} == everyone | set(features)
    assert all(len(set(order)) == 5 for order in sets.random[1])
    assert len(sets.all()) == 10
    assert sets.all()[:2] == [*sets.orders]
    assert np.isnan(node_means([], 3)).all()
    assert node_sets(node_means([], 2), [], np.array([]), n=1, length=5, seed=0).orders == [[], []]
