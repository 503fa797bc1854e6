"""Edges, adapted minus base: a slow reference, a planted change, the null, and a choice that is blind."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis import edges as module
from pipeline.analysis.edges import pair_weights, rank_edges
from pipeline.analysis.scores import feature_key
from store.collections.item import Item
from store.documents.prompts import Prompt
from tests.support.feature_builders import PARAMS, Node, edges_from, make_edges, make_prompt

BASE, ADAPTED, OTHER = "base", "general@1.0", "narrow@1.0"
Edges = dict[tuple[Node, Node], float]
Pair = tuple[tuple[int, int], tuple[int, int]]
Side = Mapping[str, Sequence[Edges]]

# Features of layers 0 and 1; a target lies in a later layer.
SOURCES = [(0, f) for f in range(8)]
TARGETS = [(1, f) for f in range(6)]
KEYS = feature_key(*np.array([*SOURCES, *TARGETS]).T)


def rank(
    items: Sequence[Item], prompts: Sequence[Prompt], *, nulls: Sequence[str] = (), **changed: object
) -> xr.Dataset:
    by_hash = {prompt.hash: prompt for prompt in prompts}
    params = PARAMS.model_copy(update=changed)
    return rank_edges(edges_from(items), by_hash, KEYS, params, seed=0, nulls=nulls)


def random_edges(rng: np.random.Generator, share: float = 0.4) -> Edges:
    """Edges of some pairs at some positions; several positions of a pair are one weight."""
    return {
        ((*source[:1], p, source[1]), (*target[:1], q, target[1])): float(rng.normal())
        for source, target, p, q in product(SOURCES, TARGETS, (1, 2), (2, 3))
        if rng.random() < share / 2
    }


def pairs_of(table: xr.Dataset) -> list[Pair]:
    names = ("source_layer", "source_index", "target_layer", "target_index")
    columns = zip(*(table[name].values.tolist() for name in names), strict=True)
    return [((a, b), (c, d)) for a, b, c, d in columns]


def column(table: xr.Dataset, name: str, contrast: str = f"{ADAPTED}-base") -> dict[Pair, float]:
    """An array of one contrast over all domains, by pair."""
    values = table[name].sel(contrast=contrast, domain="all").values.tolist()
    return dict(zip(pairs_of(table), values, strict=True))


def weight(edges: Edges, pair: Pair) -> float:
    """The reference: every edge of the pair, one after the other."""
    return sum(
        value
        for (source, target), value in edges.items()
        if ((source[0], source[2]), (target[0], target[2])) == pair
    )


def has(edges: Edges, pair: Pair) -> bool:
    return any(((s[0], s[2]), (t[0], t[2])) == pair for s, t in edges)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


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


PROMPTS = [make_prompt(i, situation=i // 2) for i in range(48)]
PLANTED: Pair = ((0, 3), (1, 4))


def two_sides(seed: int, size: float) -> tuple[list[Edges], list[Edges]]:
    """Base and adapted on every prompt; the planted edge is stronger in the latter."""
    rng = np.random.default_rng(seed)
    sides = [[random_edges(rng) for _ in PROMPTS] for _ in range(2)]
    for edges in sides[1]:
        node = ((0, 1, PLANTED[0][1]), (1, 2, PLANTED[1][1]))
        edges[node] = edges.get(node, 0.0) + size
    return sides[0], sides[1]


def of_sides(base: Sequence[Edges], adapted: Sequence[Edges], **changed: float) -> xr.Dataset:
    items = [
        make_edges(p, v, side[row])
        for row, p in enumerate(PROMPTS)
        for v, side in ((BASE, base), (ADAPTED, adapted))
    ]
    return rank(items, PROMPTS, **changed)


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
