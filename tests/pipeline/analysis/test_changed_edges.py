"""Edges that an adapter changed: a planted change is found, and what only looks like one is not."""

from collections.abc import Sequence

import numpy as np
import pytest
import xarray as xr

from tests.support.feature_builders import PARAMS, make_edges, make_prompt
from tests.support.ranked_edges import (
    ADAPTED,
    BASE,
    OTHER,
    PLANTED,
    PROMPTS,
    SOURCES,
    TARGETS,
    Edges,
    Pair,
    column,
    of_sides,
    pairs_of,
    rank,
    two_sides,
)


def found(table: xr.Dataset) -> list[Pair]:
    return [pair for pair, q in column(table, "q").items() if q < 0.05]


def swapped(base: Sequence[Edges], adapted: Sequence[Edges], seed: int) -> tuple[list[Edges], list[Edges]]:
    """The variants exchanged in situations drawn at random."""
    flipped = np.repeat(np.random.default_rng(seed).random(len(PROMPTS) // 2) < 0.5, 2)
    both = [(b, a) if flip else (a, b) for a, b, flip in zip(base, adapted, flipped, strict=True)]
    return [one for one, _ in both], [other for _, other in both]


def test_a_planted_change_of_an_edge_is_found() -> None:
    table = of_sides(*two_sides(0, size=1.5))
    hits = found(table)
    assert PLANTED in hits
    assert len(hits) <= 3
    assert column(table, "effect")[PLANTED] == pytest.approx(1.5, abs=0.6)
    assert column(table, "low")[PLANTED] > 0


def test_two_identical_variants_differ_nowhere() -> None:
    _, adapted = two_sides(1, size=1.5)
    table = of_sides(adapted, adapted)
    assert len(pairs_of(table)) == len(SOURCES) * len(TARGETS)
    assert not table["effect"].values.any()
    assert set(column(table, "q").values()) == {1.0}


def test_variants_exchanged_at_random_give_nothing() -> None:
    """At an FDR of 5% a shuffle finds anything at all in one of twenty on average; more than
    five of thirty would happen in one of two hundred runs of a calibrated test."""
    base, adapted = two_sides(0, size=1.5)
    tables = [of_sides(*swapped(base, adapted, seed)) for seed in range(30)]
    assert sum(bool(found(table)) for table in tables) <= 5
    assert sum(PLANTED in found(table) for table in tables) <= 2


def test_the_choice_does_not_see_which_variant_is_which() -> None:
    """Chosen by their difference, pairs of pure chance would pass as changes."""
    base, adapted = two_sides(2, size=0.5)
    chosen = of_sides(base, adapted, edges=10)
    assert len(pairs_of(chosen)) == 10
    for seed in range(5):
        again = of_sides(*swapped(base, adapted, seed), edges=10)
        assert pairs_of(again) == pairs_of(chosen)
        np.testing.assert_allclose(again["strength"].values, chosen["strength"].values, rtol=1e-6)


def test_of_pure_chance_the_strongest_are_still_tested_fairly() -> None:
    """p-values of chosen pairs are uniform under the null: no more small ones than there should be."""
    small = tested = 0
    for seed in range(20):
        table = of_sides(*two_sides(100 + seed, size=0.0), edges=10, permutations=2000)
        p = np.array(list(column(table, "p").values()))
        small += int((p < 0.1).sum())
        tested += len(p)
    # Binomial(200, 0.1) is above 34 in one of a thousand.
    assert tested == 200
    assert small <= 34


def test_pairs_that_can_be_tested_come_first() -> None:
    prompts = [make_prompt(i) for i in range(10)]
    weak: Edges = {((0, 1, 1), (1, 2, 1)): 0.01}
    strong: Edges = {((0, 1, 2), (1, 2, 2)): 50.0}
    items = [
        make_edges(p, v, weak | (strong if i < 7 else {}))
        for i, p in enumerate(prompts)
        for v in (BASE, ADAPTED)
    ]
    assert pairs_of(rank(items, prompts, edges=1)) == [((0, 1), (1, 1))]
    assert pairs_of(rank(items, prompts, edges=2)) == [((0, 1), (1, 1)), ((0, 2), (1, 2))]
    # Where none can be tested, the strongest are listed untested.
    few = rank(items[:8], prompts[:4], edges=1)
    assert pairs_of(few) == [((0, 2), (1, 2))]
    assert np.isnan(few["p"].values).all()


def test_templates_do_not_buy_significance() -> None:
    """Trap 17: a hundred prompts of four situations are not tested."""
    prompts = [make_prompt(i, situation=i % 4) for i in range(100)]
    node = ((0, 1, 1), (1, 2, 1))
    items = [make_edges(p, v, {node: w}) for p in prompts for v, w in ((BASE, 1.0), (ADAPTED, 2.0))]
    table = rank(items, prompts)
    assert table["effect"].values[0, 0].tolist() == [1.0]
    assert table["n_situations"].values[0, 0].tolist() == [4]
    assert np.isnan(table["p"].values).all()


def test_a_change_is_found_above_the_floor_and_stands_beside_random_adapters() -> None:
    prompts = [make_prompt(i) for i in range(9)]
    strong, weak = ((0, 1, 1), (1, 2, 1)), ((0, 1, 2), (1, 2, 2))
    weights = {BASE: (1.0, 1.0), ADAPTED: (3.0, 1.5), OTHER: (1.0, 1.75)}
    items = [make_edges(p, v, {strong: a, weak: b}) for p in prompts for v, (a, b) in weights.items()]
    table = rank(items, prompts, nulls=[OTHER], floor=PARAMS.floor.model_copy(update={"pre_activation": 1.0}))
    assert "p_labels" not in table
    assert table["q"].values[0, 0].tolist() == pytest.approx([2 / 2**9] * 2)
    assert table["found"].values[:, 0].tolist() == [[True, False], [False, False]]
    # Of the random adapter's changes, 0 and 0.75: none as large as 2, one as large as 0.5.
    assert table["null_share"].values[0, 0].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert np.isnan(table["null_share"].values[1]).all()
    assert rank(items, prompts)["found"].values[:, 0].tolist() == [[True, True], [False, True]]
