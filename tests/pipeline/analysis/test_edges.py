"""Edges, adapted minus base: a slow reference, a planted change, the null, and a choice that is blind."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis import edges as module
from pipeline.analysis.edges import pair_weights, rank_edges
from store.collections.item import Item
from store.documents.prompts import Prompt
from tests.support.feature_builders import PARAMS, edges_from, make_edges, make_prompt
from tests.support.ranked_edges import (
    ADAPTED,
    BASE,
    KEYS,
    OTHER,
    PROMPTS,
    SOURCES,
    TARGETS,
    Edges,
    column,
    has,
    mean,
    of_sides,
    pairs_of,
    random_edges,
    rank,
    two_sides,
    weight,
)


def test_a_slow_reference_gives_the_same() -> None:
    """Nine situations of one or two prompts; the third variant was traced on some only."""
    rng = np.random.default_rng(0)
    prompts = [make_prompt(i, situation=i % 9) for i in range(14)]
    traced = {p: [BASE, ADAPTED, *([OTHER] if i % 3 == 0 else [])] for i, p in enumerate(prompts)}
    traced[prompts[13]] = [BASE]
    given = {(p.hash, v): random_edges(rng) for p in prompts for v in traced[p]}
    items = [
        make_edges(p, v, given[p.hash, v], kept=0.9 + 0.001 * i, order=rng)
        for i, p in enumerate(prompts)
        for v in traced[p]
    ]
    table = rank(items, prompts, edges=12, min_situations=5)

    every = {pair for edges in given.values() for pair in product(SOURCES, TARGETS) if has(edges, pair)}
    paired: dict[str, list[Prompt]] = {}
    for p in prompts:
        if len(traced[p]) > 1:
            paired.setdefault(p.situation, []).append(p)
    strength = {
        pair: mean(
            [
                mean([mean([abs(weight(given[p.hash, v], pair)) for v in traced[p]]) for p in inside])
                for inside in paired.values()
            ]
        )
        for pair in every
    }
    often = {
        pair: sum(
            any(has(given[p.hash, v], pair) for p in inside for v in traced[p]) for inside in paired.values()
        )
        for pair in every
    }
    best = sorted(every, key=lambda pair: (often[pair] < 5, -strength[pair]))[:12]
    assert pairs_of(table) == sorted(best)
    assert table["strength"].values.tolist() == pytest.approx([strength[pair] for pair in sorted(best)])
    assert table["n_pairs"].values.tolist() == [len(every)] * 2
    assert table["contrast"].values.tolist() == [f"{ADAPTED}-base", f"{OTHER}-base"]

    for number, variant in enumerate((ADAPTED, OTHER)):
        both = [p for p in prompts if variant in traced[p]]
        assert table["n_scored"].values[number, 0] == len(both)
        assert table["n_left_out"].values[number, 0] == len(prompts) - len(both)
        lowest = min(0.9 + 0.001 * i for i, p in enumerate(prompts) if variant in traced[p])
        assert table["kept_edge_score"].values[number] == pytest.approx(lowest)
        inside_of: dict[str, list[Prompt]] = {}
        for p in both:
            inside_of.setdefault(p.situation, []).append(p)
        contrast = f"{variant}-base"
        for pair in best:
            of = {
                v: [mean([weight(given[p.hash, v], pair) for p in inside]) for inside in inside_of.values()]
                for v in (BASE, variant)
            }
            difference = [a - b for a, b in zip(of[variant], of[BASE], strict=True)]
            active = sum(
                any(has(given[p.hash, v], pair) for p in inside for v in (BASE, variant))
                for inside in inside_of.values()
            )
            assert column(table, "effect", contrast)[pair] == pytest.approx(mean(difference), abs=1e-6)
            assert column(table, "base_weight", contrast)[pair] == pytest.approx(mean(of[BASE]), abs=1e-6)
            assert column(table, "n_situations", contrast)[pair] == active
            if active >= 5:
                observed = abs(sum(difference)) - 1e-9
                sums = [
                    sum(sign * d for sign, d in zip(signs, difference, strict=True))
                    for signs in product((1, -1), repeat=len(difference))
                ]
                p_value = mean([float(abs(value) >= observed) for value in sums])
                assert column(table, "p", contrast)[pair] == pytest.approx(p_value)
            else:
                assert np.isnan(column(table, "p", contrast)[pair])


def test_a_pair_is_its_layers_and_features_and_not_its_rows() -> None:
    """Trap 2: node 0 is another feature in every graph."""
    edges = random_edges(np.random.default_rng(1))
    prompt = make_prompt(0)
    codes, weights = pair_weights(make_edges(prompt, BASE, edges), KEYS)
    for seed in range(5):
        item = make_edges(prompt, BASE, edges, order=np.random.default_rng(seed))
        again, same = pair_weights(item, KEYS)
        assert again.tolist() == codes.tolist()
        np.testing.assert_allclose(same, weights, atol=1e-6)
    source, target = divmod(int(codes[0]), len(KEYS))
    ends = (int(KEYS[source]) & 0xFFFFFFFF, int(KEYS[target]) & 0xFFFFFFFF)
    assert weights[0] == pytest.approx(weight(edges, ((0, ends[0]), (1, ends[1]))), abs=1e-6)


def test_errors_tokens_and_logits_are_left_out() -> None:
    edge: Edges = {((0, 1, 3), (1, 2, 5)): 0.25}
    codes, weights = pair_weights(make_edges(make_prompt(0), BASE, edge), KEYS)
    assert len(codes) == 1
    assert weights.tolist() == [0.25]
    assert len(pair_weights(make_edges(make_prompt(0), BASE, {}), KEYS)[0]) == 0


def test_a_feature_that_is_not_among_the_rows_is_refused() -> None:
    edge: Edges = {((0, 1, 3), (1, 2, 77)): 0.25}
    with pytest.raises(ValueError, match="not among the rows"):
        pair_weights(make_edges(make_prompt(0), BASE, edge), KEYS)


def test_an_edge_of_one_variant_only_counts_as_zero_in_the_other() -> None:
    prompts = [make_prompt(i) for i in range(9)]
    node = ((0, 1, 1), (1, 2, 1))
    items = [
        make_edges(p, v, {node: 3.0} if v == ADAPTED and i < 3 else {})
        for i, p in enumerate(prompts)
        for v in (BASE, ADAPTED)
    ]
    table = rank(items, prompts)
    assert table["effect"].values[0, 0].tolist() == [1.0]
    assert table["base_weight"].values[0, 0].tolist() == [0.0]
    assert table["n_situations"].values[0, 0].tolist() == [3]


def test_adding_up_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = two_sides(3, size=1.0)
    whole = of_sides(*sides, edges=20)
    monkeypatch.setattr(module, "_PENDING", 1)
    parts = of_sides(*sides, edges=20)
    assert pairs_of(parts) == pairs_of(whole)
    for name in ("effect", "p", "n_situations"):
        np.testing.assert_array_equal(parts[name].values, whole[name].values)
    np.testing.assert_allclose(parts["strength"].values, whole["strength"].values, rtol=1e-6)


@pytest.mark.parametrize("room", [0, 40, 1 << 24])
def test_what_is_kept_of_a_graph_is_read_once_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    base, adapted = two_sides(3, size=1.0)
    whole = of_sides(base, adapted, edges=20)
    sides = {BASE: base, ADAPTED: adapted}
    edges = edges_from(make_edges(p, v, sides[v][row]) for row, p in enumerate(PROMPTS) for v in sides)
    read: list[tuple[str, str]] = []

    def counted(prompt: str, variant: str) -> Item:
        read.append((prompt, variant))
        return edges.read(prompt, variant)

    monkeypatch.setattr(module, "_KEPT", room)
    by_hash = {p.hash: p for p in PROMPTS}
    few = PARAMS.model_copy(update={"edges": 20})
    table = rank_edges(replace(edges, read=counted), by_hash, KEYS, few, 0)
    xr.testing.assert_identical(table, whole)
    n_graphs = 2 * len(PROMPTS)
    assert len(set(read)) == n_graphs
    assert (len(read) == n_graphs) is (room == 1 << 24)
    assert (len(read) == 2 * n_graphs) is (room == 0)


def test_domains_have_their_own_test_and_base_weight() -> None:
    prompts = [make_prompt(i, domain="medical" if i < 9 else "finance") for i in range(18)]
    node = ((0, 1, 1), (1, 2, 1))
    items = [
        make_edges(p, v, {node: (2.0 if p.domain == "medical" else 5.0) + (v == ADAPTED) * (i < 9)})
        for i, p in enumerate(prompts)
        for v in (BASE, ADAPTED)
    ]
    table = rank(items, prompts)
    assert table["domain"].values.tolist() == ["all", "finance", "medical"]
    assert table["effect"].values[0, :, 0].tolist() == [0.5, 0.0, 1.0]
    assert table["base_weight"].values[0, :, 0].tolist() == [3.5, 5.0, 2.0]
    assert table["q"].values[0, :, 0].tolist() == pytest.approx([2 / 2**9, 1.0, 2 / 2**9])


@pytest.mark.parametrize("variants", [[], [BASE], [ADAPTED]])
def test_without_both_variants_there_is_an_empty_table(variants: list[str]) -> None:
    edges = random_edges(np.random.default_rng(0))
    prompts = [make_prompt(i) for i in range(9)]
    table = rank([make_edges(p, v, edges) for p in prompts for v in variants], prompts)
    assert dict(table.sizes) == {"contrast": 0, "domain": 2, "pair": 0}


def test_of_a_variant_traced_apart_from_base_nothing_is_known() -> None:
    prompts = [make_prompt(i) for i in range(10)]
    edges = random_edges(np.random.default_rng(0))
    items = [make_edges(p, v, edges) for p in prompts[:9] for v in (BASE, ADAPTED)]
    items.append(make_edges(prompts[9], OTHER, edges))
    table = rank(items, prompts)
    assert table["n_scored"].values[:, 0].tolist() == [9, 0]
    assert table["kept_edge_score"].values[0] == 1.0
    assert np.isnan(table["kept_edge_score"].values[1])
    assert np.isnan(table["base_weight"].values[1]).all()


@pytest.mark.parametrize("room", [0, 40, 1 << 20])
def test_graphs_that_are_read_as_they_lie_give_the_same(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for none, for some and for all of them."""
    rng = np.random.default_rng(5)
    prompts = [make_prompt(i, situation=i % 4) for i in range(8)]
    items = [make_edges(p, v, random_edges(rng), order=rng) for p in prompts for v in (BASE, ADAPTED)]
    monkeypatch.setattr(module, "_KEPT", room)
    plain = edges_from(items)
    params = PARAMS
    by_hash = {p.hash: p for p in prompts}
    tables = [
        rank_edges(each, by_hash, KEYS, params, 0)
        for each in (plain, replace(plain, stored=sorted(items, key=lambda item: item.identity)))
    ]
    xr.testing.assert_identical(*tables)
