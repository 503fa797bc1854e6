"""Draws that end early: what is found, and with which p and q, is what all draws find."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.ending import count_draws
from pipeline.analysis.statistics import benjamini_hochberg, sign_flip_p_by_block


class Draws:
    """Made-up draws, (draw, feature) bool: are they as extreme? Tells which were asked for."""

    def __init__(self, extreme: np.ndarray) -> None:
        self.extreme = extreme
        self.asked: list[tuple[int, int, int]] = []

    def __call__(self, columns: np.ndarray, start: int, stop: int) -> np.ndarray:
        self.asked.append((start, stop, len(columns)))
        count: np.ndarray = self.extreme[start:stop, columns].sum(axis=0)
        return count

    def p(self, known: np.ndarray, rate: float | None, most: int = 10**6) -> np.ndarray:
        count, drawn = count_draws(self, known, len(self.extreme), rate=rate, most=most)
        return np.where(np.isnan(known), (1 + count) / (1 + drawn), known)


def drawn_by_chance(seed: int, draws: int, features: int) -> Draws:
    """Half of the features are extreme by chance, as under the null; the others ever less."""
    rng = np.random.default_rng(seed)
    share = np.where(np.arange(features) % 2, rng.random(features), rng.random(features) ** 8)
    return Draws(rng.random((draws, features)) < share)


@given(
    seed=st.integers(0, 10**6),
    draws=st.sampled_from([63, 64, 400, 1000]),
    features=st.integers(1, 40),
    known=st.integers(0, 3),
    rate=st.sampled_from([0.01, 0.05, 0.3, 1.0]),
    most=st.sampled_from([1, 130, 10**6]),
)
@settings(deadline=None)
def test_the_same_are_found_with_the_same_p_and_q(
    seed: int, draws: int, features: int, known: int, rate: float, most: int
) -> None:
    made = drawn_by_chance(seed, draws, features)
    exact = np.full(features, np.nan)
    exact[:known] = np.random.default_rng(seed).random(min(known, features)) ** 4
    whole, early = made.p(exact, None), made.p(exact, rate, most)
    q, found = benjamini_hochberg(early), benjamini_hochberg(whole) <= rate
    np.testing.assert_array_equal(q <= rate, found)
    np.testing.assert_array_equal(early[found], whole[found])
    np.testing.assert_array_equal(q[found], benjamini_hochberg(whole)[found])


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_features_that_are_hard_to_tell_are_told(seed: int) -> None:
    """p-values about the bar, where one extreme draw more or less decides for all of lower rank."""
    rng, draws, features, rate = np.random.default_rng(seed), 999, 12, 0.2
    wanted = np.round(rate * np.arange(1, features + 1) / features * 1000 - 1 + rng.integers(-2, 3, features))
    extreme = np.array([rng.permutation(draws) < count for count in wanted]).T
    made, known = Draws(extreme), np.full(features, np.nan)
    found = benjamini_hochberg(made.p(known, None)) <= rate
    np.testing.assert_array_equal(benjamini_hochberg(made.p(known, rate)) <= rate, found)


def test_features_without_effect_end_after_some_more_than_the_rate_of_all_draws() -> None:
    rng = np.random.default_rng(0)
    made = Draws(rng.random((10_000, 500)) < rng.random(500))
    made.extreme[:, 7] = False
    made.p(np.full(500, np.nan), 0.05)
    first, *others = made.asked
    assert first == (0, 640, 500)
    assert others[0][2] < 30
    assert made.asked[-1][1:] == (10_000, 1)  # only what is found is drawn for to the end
    assert [start for start, _, _ in others] == [stop for _, stop, _ in made.asked[:-1]]


def test_p_that_is_known_counts_among_what_is_found() -> None:
    """The last of four features is found at a p that is the rate: three that need no draws come before."""
    made = Draws(np.arange(1000)[:, None] < 39)
    assert made.p(np.array([np.nan]), 0.01).tolist() == [40 / 65]
    both = Draws(np.repeat(made.extreme, 4, axis=1)).p(np.array([0.001, 0.001, 0.001, np.nan]), 0.04)
    assert both[3] == 40 / 1001


def test_a_round_is_no_larger_than_it_may_be() -> None:
    made = drawn_by_chance(0, 1000, 5)
    made.p(np.full(5, np.nan), None, most=200)
    assert [(start, stop) for start, stop, _ in made.asked] == [
        (0, 192), (192, 384), (384, 576), (576, 768), (768, 960), (960, 1000)
    ]  # fmt: skip


@pytest.mark.parametrize("n_rows", [24, 25, 27])
def test_sign_flips_in_blocks_and_rounds_are_those_of_one(
    monkeypatch: pytest.MonkeyPatch, n_rows: int
) -> None:
    """Also of as many situations as are no whole of the bits that are made at a time."""
    rng = np.random.default_rng(n_rows)
    values = rng.normal(size=(n_rows, 60))
    values[:, :20] += np.linspace(0, 1, 20)
    values[3:, 5] = 0  # enumerated

    def p(step: int, rate: float | None) -> np.ndarray:
        columns = np.arange(60)[::-1]
        return sign_flip_p_by_block(
            lambda chosen: values[:, chosen], columns, 9000, np.random.default_rng(4), step=step, rate=rate
        )

    whole, early = p(60, None), p(60, 0.05)
    found = benjamini_hochberg(whole) <= 0.05
    assert found.sum() > 3
    assert (early != whole).sum() > 20
    np.testing.assert_array_equal(benjamini_hochberg(early) <= 0.05, found)
    np.testing.assert_array_equal(early[found], whole[found])
    monkeypatch.setattr("pipeline.analysis.statistics._HELD", 200 * n_rows)
    np.testing.assert_array_equal(p(7, None), whole)
    np.testing.assert_array_equal(benjamini_hochberg(p(7, 0.05)) <= 0.05, found)
