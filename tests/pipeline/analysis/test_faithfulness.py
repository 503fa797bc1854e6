"""F(k), its area and intervals, the test by dealt labels: against formulas written out, and simulation."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.faithfulness import (
    ACTS,
    SILENT,
    UNCLEAR,
    areas,
    fewest,
    fractions,
    interval,
    labels_p,
    log_odds,
    verdicts,
)
from pipeline.analysis.faithfulness_tables import faithfulness_groups
from store.schema.vocabulary import EXPERIMENTS, PART_SETS
from tests.support.shares import N_RANDOM, N_SITUATIONS, N_TOKENS, PARAMS, SETS, measured


@given(st.lists(st.floats(-30, 30), min_size=4, max_size=4), st.floats(-1000, 1000))
@settings(max_examples=50, deadline=None)
def test_log_odds_are_those_of_probability_mass(values: list[float], shift: float) -> None:
    logits, evil = np.array(values), np.array([True, False, True, False])
    mass = np.exp(logits)
    expected = np.log(mass[evil].sum() / mass[~evil].sum())
    assert log_odds(logits, evil) == pytest.approx(expected, abs=1e-9)
    assert log_odds(logits + shift, evil) == pytest.approx(expected, abs=1e-8)
    assert log_odds(logits, ~evil) == pytest.approx(-expected, abs=1e-9)


def test_a_share_is_of_the_mean_difference() -> None:
    """One situation where nothing differs, or the other way round, does not blow it up."""
    change, difference = np.array([[1.0], [0.5], [0.0]]), np.array([2.0, -1.0, 1e-9])
    assert fractions(change, difference) == pytest.approx(1.5 / 1.0, rel=1e-6)


def test_the_area_is_the_mean_over_log_k() -> None:
    assert areas(np.array([[0.0, 1.0], [0.4, 0.4], [2.0, 2.0], [-1.0, 0.0]]), [1, 10]) == pytest.approx(
        [0.5, 0.4, 1.0, -0.5]
    )
    # The step from 1 to 10 is as wide as that from 10 to 100.
    assert areas(np.array([0.0, 0.0, 1.0]), [1, 10, 100]) == pytest.approx(0.25)


def test_the_fewest_are_the_first_that_reach() -> None:
    shares = np.array([[0.1, 0.5, 0.4], [0.1, 0.2, 0.49], [0.9, 0.1, 0.1], [np.nan] * 3])
    assert fewest(shares, [1, 3, 9], 0.5).tolist() == [3, -1, 1, -1]


def test_intervals_of_shares_hold_the_truth() -> None:
    """A ratio of means over a dozen situations, the difference skewed: 90% or more of 95% intervals."""
    rng, held, runs = np.random.default_rng(0), 0, 150
    for _ in range(runs):
        difference = rng.gamma(2.0, size=12)
        change = 0.6 * difference + rng.normal(scale=0.4, size=12)

        def ratio(
            rows: np.ndarray, change: np.ndarray = change, difference: np.ndarray = difference
        ) -> np.ndarray:
            return fractions(change[rows], difference[rows])

        low, high = interval(ratio, 12, 400, 0.95, 0)
        held += bool(low <= 0.6 <= high)
    assert held / runs >= 0.9
    low, high = interval(lambda rows: np.full(3, 0.5), 12, 200, 0.95, 0)
    assert np.isnan(low).all()
    assert np.isnan(interval(lambda rows: np.ones(2), 1, 200, 0.95, 0)[0]).all()


def test_labels_are_dealt_in_all_ways() -> None:
    """Against every labelling written out; a prompt without both labels is left out."""
    prompts = [measured(number, number, seed=3) for number in range(4)]
    few = replace(
        prompts[0],
        **{
            name: getattr(prompts[0], name)[..., [0, 3]]
            for name in (
                "tokens",
                "evil",
                "base",
                "adapted",
                "given",
                "taken",
                "given_with_adapter",
                "singles",
                "parts",
            )
        },
    )
    prompts[0] = few
    found, smallest = labels_p(prompts, 1000, 0)

    def effect(chosen: set[int]) -> np.ndarray:
        changes = []
        for one in prompts:
            evil = np.isin(one.tokens, list(chosen))
            if evil.any() and not evil.all():
                changes.append(log_odds(one.singles, evil) - log_odds(one.base, evil))
        return np.abs(np.mean(changes, axis=0))

    truth = effect({0, 1, 2})
    ways = [effect(set(way)) for way in combinations(range(N_TOKENS), 3)]
    expected = np.mean([way >= truth - 1e-9 for way in ways], axis=0)
    np.testing.assert_allclose(found, expected)
    assert found[1] == 1.0, "what changes nothing is as large under any labels"
    assert smallest == 1 / len(ways)
    assert labels_p(prompts, 10, 0)[1] == 1 / 11


def test_a_token_that_is_evil_on_some_prompts_has_a_label_on_each() -> None:
    """A feature that raises each prompt's own evil tokens: found, whatever each prompt calls evil."""
    rng = np.random.default_rng(0)
    prompts = []
    for number in range(12):
        evil = rng.permutation(N_TOKENS) < N_TOKENS // 2
        base = rng.normal(scale=0.1, size=N_TOKENS)
        one = measured(number, number)
        prompts.append(replace(one, evil=evil, base=base, singles=np.stack([base + 4.0 * evil, base])))
    found, smallest = labels_p(prompts, 2000, 0)
    # Twelve units, six of them evil: 924 ways, of which the true one and its opposite reach 4.
    assert smallest == 1 / 924
    assert found.tolist() == [2 / 924, 1.0]


def test_what_is_known_of_a_feature() -> None:
    nan = np.nan
    said = verdicts(
        np.array([0.3, 0.001, 0.0, 0.3, 0.01]),
        np.array([0.2, -0.01, nan, -0.1, nan]),
        np.array([0.4, 0.01, nan, 0.7, nan]),
        np.array([0.01, 0.001, 1.0, 0.5, 0.5]),
        silent=0.02,
        fdr=0.05,
    )
    assert said.tolist() == [ACTS, SILENT, SILENT, UNCLEAR, UNCLEAR]


def test_the_tables_say_what_was_planted() -> None:
    prompts = [measured(number, number // 2) for number in range(2 * N_SITUATIONS)]
    found = faithfulness_groups(prompts, SETS, "general@1.0", PARAMS, 0)
    curves, orders, features = found["curves"], found["orders"], found["features"]
    assert found["difference"]["n_situations"].values.tolist() == [N_SITUATIONS]
    for row in range(2):
        np.testing.assert_allclose(curves["fraction"].values[row], [[0.25, 0.5, 1.0]] * 2, atol=1e-9)
        assert orders["fewest"].values[row].tolist() == [2, 2]
        np.testing.assert_allclose(curves["random_high"].values[row], 0.0, atol=1e-9)
        np.testing.assert_allclose(orders["p_random"].values[row], 1 / (1 + N_RANDOM))
    np.testing.assert_allclose(curves["fraction"].values[2], 1.0)
    assert np.isnan(curves["random_mean"].values[EXPERIMENTS.index("given_with_adapter")]).all()
    np.testing.assert_allclose(curves["matched_mean"].values, 0.1)
    np.testing.assert_allclose(found["parts"]["fraction"].values[0], np.linspace(0, 1, len(PART_SETS)))
    np.testing.assert_allclose(found["parts"]["fraction"].values[1], np.linspace(0, 1, len(PART_SETS)))
    np.testing.assert_allclose(features["fraction"].values, [0.25, 0.0], atol=1e-9)
    assert features["rank"].values.tolist() == [[2, 1], [1, 2]]
    # In another order of the prompts it is the same.
    again = faithfulness_groups(prompts[::-1], SETS, "general@1.0", PARAMS, 0)
    for name, group in found.items():
        for column in group:
            if group[column].dtype.kind == "f":
                np.testing.assert_allclose(again[name][column].values, group[column].values, atol=1e-9)


@pytest.mark.parametrize("n", [0, 3, N_SITUATIONS])
def test_there_is_no_share_of_nothing(n: int) -> None:
    prompts = [measured(number, number, change=0.0) for number in range(n)]
    found = faithfulness_groups(prompts, SETS, "general@1.0", PARAMS, 0)
    reason = str(found["difference"]["reason"].values[0])
    assert ("too few" in reason) == (n < PARAMS.min_situations)
    assert reason
    assert np.isnan(found["curves"]["fraction"].values).all()
    assert (found["orders"]["fewest"].values == -1).all()
    assert set(found["features"]["verdict"].values) == {""}


def test_what_makes_harm_less_likely_has_no_share_by_what_makes_it_likelier() -> None:
    prompts = [measured(number, number, change=-2.0) for number in range(N_SITUATIONS)]
    found = faithfulness_groups(prompts, SETS, "general@1.0", PARAMS, 0)
    assert found["difference"]["high"].values[0] < 0
    assert "less likely" in str(found["difference"]["reason"].values[0])
    assert np.isnan(found["curves"]["fraction"].values).all()


def test_singles_were_chosen_of_all_that_move() -> None:
    """Two of a hundred: their q is fifty times what it is of two of two."""
    prompts = [measured(number, number) for number in range(N_SITUATIONS)]
    by_count = {}
    for n in (2, 100):
        found = faithfulness_groups(prompts, replace(SETS, n_candidates=n), "general@1.0", PARAMS, 0)
        by_count[n] = found["features"]["q"].values, float(found["difference"]["smallest_q"].values[0])
    p = found["features"]["p"].values
    assert p.tolist() == [2 / 20, 1.0]  # six tokens, three evil
    np.testing.assert_allclose(by_count[2][0], [0.2, 1.0])
    np.testing.assert_allclose(by_count[100][0], [1.0, 1.0])
    assert by_count[2][1] == pytest.approx(1 / 20)
    assert by_count[100][1] == 1.0
