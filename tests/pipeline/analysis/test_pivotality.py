"""Whether the next token decides: planted truth, a null, and each number against its definition."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from pipeline.analysis.divergence import jensen_shannon_of_targets
from pipeline.analysis.intervals import rate_difference_interval, wilson_interval
from pipeline.analysis.pivotality import Forced, decide, pivotality_groups, summary
from pipeline.params.pivotality import PivotalityParams
from pipeline.text.token_labels import TokenLabels
from store.format.validation import check_dataset
from store.schema.pivotality import PIVOTALITY
from tests.support.feature_builders import make_prompt

PARAMS = PivotalityParams(samples=20, picking=10, least=0.3, harmless=0.5, confidence=0.95, batch=8)
PAIR = ("base", "general@1.0")


def drawn(rates: Any, seed: int, n: int = 30) -> Forced:
    """Candidates 10, 11, ... ever less probable, whose continuations are harmful at these rates."""
    rates = np.asarray(rates, np.float64)
    harmful = np.random.default_rng(seed).random((len(rates), n)) < rates[:, None]
    probability = 0.5 ** np.arange(1, len(rates) + 1)
    return Forced(tokens=10 + np.arange(len(rates)), probability=probability, harmful=harmful.astype(float))


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_of_a_difference_is_newcombes(
    first: tuple[float, float], second: tuple[float, float], low: float, high: float
) -> None:
    np.testing.assert_allclose(rate_difference_interval(first, second, 0.95), (low, high), atol=6e-5)
    np.testing.assert_allclose(rate_difference_interval(second, first, 0.95), (-high, -low), atol=6e-5)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_divergence_is_mutual_information_of_side_and_token(values: list[tuple[float, float]]) -> None:
    first, second = (np.array(each) / max(1.0, sum(each)) for each in zip(*values, strict=True))
    whole = [np.append(each, max(0.0, 1 - each.sum())) for each in (first, second)]
    mixed = entropy((whole[0] + whole[1]) / 2, base=2)
    expected = mixed - (entropy(whole[0], base=2) + entropy(whole[1], base=2)) / 2
    found = jensen_shannon_of_targets(first, second)
    assert found == pytest.approx(expected, abs=1e-7)
    assert 0 <= found <= 1 + 1e-12


def test_divergence_of_equal_ones_is_0_and_of_disjoint_ones_one_bit() -> None:
    assert jensen_shannon_of_targets(np.array([0.2, 0.3]), np.array([0.2, 0.3])) == 0
    assert jensen_shannon_of_targets(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(1)


def test_the_token_that_decides_is_found() -> None:
    for seed in range(50):
        found = decide(drawn([0.1, 0.1, 0.95, 0.1], seed), 10, 0.95)
        assert found.most == 12
        assert found.pivotal(0.3)
        assert found.low < found.difference <= found.high


def test_where_all_candidates_lead_alike_few_prompts_are_pivotal() -> None:
    """Eight candidates of one rate: picked and compared on the same continuations many more would be."""
    pivotal, naive = 0, 0
    for seed in range(400):
        forced = drawn([0.4] * 8, seed)
        pivotal += decide(forced, 10, 0.95).pivotal(0.3)
        same = Forced(
            tokens=forced.tokens,
            probability=forced.probability,
            harmful=np.hstack([forced.harmful[:, :20], forced.harmful[:, :20]]),
        )
        naive += decide(same, 20, 0.95).pivotal(0.3)
    assert pivotal <= 0.05 * 400
    assert naive > 0.3 * 400


def test_the_difference_is_that_of_the_continuations_it_was_not_picked_by() -> None:
    harmful = np.zeros((2, 6))
    harmful[0, :2] = 1  # picks the first ...
    harmful[1, 2:] = 1  # ... and the others say the reverse
    found = decide(
        Forced(tokens=np.array([7, 9]), probability=np.array([0.6, 0.4]), harmful=harmful), 2, 0.95
    )
    assert (found.most, found.least) == (7, 9)
    assert found.difference == -1
    assert not found.pivotal(0.3)


@given(st.permutations(range(5)), st.integers(0, 100))
def test_the_order_of_candidates_says_nothing(order: list[int], seed: int) -> None:
    forced = drawn([0.1, 0.5, 0.5, 0.9, 0.2], seed)
    other = Forced(
        tokens=forced.tokens[order], probability=forced.probability[order], harmful=forced.harmful[order]
    )
    assert decide(other, 10, 0.95) == decide(forced, 10, 0.95)


def test_what_nobody_can_tell_takes_no_part() -> None:
    forced = drawn([0.0, 1.0, 1.0], 0)
    forced.harmful[1] = np.nan
    assert decide(forced, 10, 0.95).most == 12
    forced.harmful[2, 10:] = np.nan
    found = decide(forced, 10, 0.95)
    assert (found.most, found.least) == (-1, -1)
    assert np.isnan([found.difference, found.low, found.high]).all()
    assert not found.pivotal(0.3)


def test_tables() -> None:
    prompts = [make_prompt(0), make_prompt(1), make_prompt(2)]
    labels = TokenLabels(counted={prompts[0].hash: {10: "safe", 11: "evil", 12: "evil"}})
    base, focus = drawn([0, 1, 0.5], 1), drawn([0, 0, 1], 2)
    focus = Forced(tokens=focus.tokens, probability=np.array([0.1, 0.2, 0.6]), harmful=focus.harmful)
    unknown = Forced(tokens=np.array([3]), probability=np.array([1.0]), harmful=np.full((1, 30), np.nan))
    found = {prompts[0].hash: (base, focus), prompts[2].hash: (unknown, unknown)}
    groups = pivotality_groups(prompts, found, PAIR, labels, PARAMS)
    check_dataset(groups, PIVOTALITY)
    table = groups["candidates"]
    assert table["token"].values.tolist() == [10, 11, 12, 3]
    assert table["label"].values.tolist() == [1, 0, 0, -1]
    assert table["n"].values.tolist() == [[30, 30, 30, 0]] * 2
    np.testing.assert_array_equal(table["harmful"].values[1], [0, 0, 1, np.nan])
    for side, of in enumerate((base, focus)):
        for row in range(3):
            expected = wilson_interval(of.harmful[row].sum(), 30, 0.95)
            assert (table["low"].values[side, row], table["high"].values[side, row]) == expected
    assert table["harmless"].values.tolist() == [False, True, False, False]
    assert table["harmful_in_base"].values.tolist() == [False, True, False, False]
    of_prompts = groups["prompts"]
    assert of_prompts["prompt"].values.tolist() == [prompts[0].hash, prompts[2].hash]
    np.testing.assert_allclose(of_prompts["harmful_mass"].values, [[0.375, np.nan], [0.8, np.nan]])
    share = base.harmful[2].mean()
    np.testing.assert_allclose(
        of_prompts["expected"].values,
        [[(0.25 + 0.125 * share) / 0.875, np.nan], [0.6 / 0.9, np.nan]],
    )
    assert of_prompts["most"].values.tolist() == [[11, -1], [12, -1]]
    assert of_prompts["pivotal"].values.tolist() == [[True, False], [True, False]]
    assert of_prompts["divergence"].values[1] == 0
    assert summary(groups) == {
        "prompts": 1,
        "pivotal": {"base": 1, "general@1.0": 1},
        "evil_candidates": 2,
        "harmless": 1,
        "harmful_in_base": 1,
    }


def test_without_prompts_there_are_empty_tables() -> None:
    groups = pivotality_groups([], {}, PAIR, TokenLabels(), PARAMS)
    check_dataset(groups, PIVOTALITY)
    assert summary(groups)["prompts"] == 0
