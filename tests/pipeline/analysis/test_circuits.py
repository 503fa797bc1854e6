"""Circuits over prompts: a plain reference, what was planted, and exchanged answers, which find nothing."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.analysis.circuits import (
    EFFECTS,
    Circuit,
    PromptCircuit,
    find_circuit,
    frequencies,
    prompt_circuit,
)
from pipeline.analysis.scores import feature_key, split_key
from tests.support.circuits import PARAMS, Arrays, random_arrays


def found_in(prompts: Sequence[PromptCircuit], others: Sequence[Sequence[PromptCircuit]] = ()) -> Circuit:
    return find_circuit(prompts, others, PARAMS, np.random.default_rng(0))


def names_of(keys: np.ndarray) -> list[tuple[int, int]]:
    layer, index = split_key(keys)
    return list(zip(layer.tolist(), index.tolist(), strict=True))


def test_every_column_against_a_plain_reference() -> None:
    rng = np.random.default_rng(1)
    many = [random_arrays(rng) for _ in range(14)]
    groups = [f"g{number // 2}" for number in range(14)]
    prompts = [prompt_circuit(each, group, 0.1) for each, group in zip(many, groups, strict=True)]
    others = [[prompt_circuit(random_arrays(rng, n=6), "x", 0.1) for _ in range(4)] for _ in range(2)]
    circuit = found_in(prompts, others)

    def sums(arrays: Arrays, name: str) -> dict[tuple[int, int], float]:
        found: dict[tuple[int, int], float] = defaultdict(float)
        for row in range(len(arrays["active_value"])):
            if arrays["active_value"][row] >= 0.1:
                found[int(arrays["active_layer"][row]), int(arrays["active_feature"][row])] += float(
                    arrays[name][row]
                )
        return found

    def by_group(values: list[float]) -> list[float]:
        return [
            float(np.mean([v for v, g in zip(values, groups, strict=True) if g == name]))
            for name in dict.fromkeys(groups)
        ]

    total = [sums(each, "total_effect") for each in many]
    every = {key for each in total for key in each}
    wanted = {key for key in every if sum(key in each for each in total) / 14 >= 0.3}
    names = names_of(circuit.keys)
    assert set(names) == wanted
    size = np.abs(circuit.columns["total_effect"])
    assert (np.diff(size) <= 0).all()
    for row, key in enumerate(names):
        column = {name: values[row] for name, values in circuit.columns.items()}
        for name in EFFECTS:
            expected = by_group([sums(each, name).get(key, 0.0) for each in many])
            assert column[name] == pytest.approx(np.mean(expected), abs=1e-6), name
        effects = by_group([each.get(key, 0.0) for each in total])
        there = [value for value in effects if value != 0]
        assert column["n_groups"] == len(there)
        same = [np.sign(value) == np.sign(np.mean(effects)) for value in there]
        assert column["sign_agreement"] == pytest.approx(np.mean(same))
        assert column["frequency"] == pytest.approx(sum(key in each for each in total) / 14)
        largest = [
            max(
                float(value)
                for layer, index, value in zip(
                    each["active_layer"], each["active_feature"], each["active_value"], strict=True
                )
                if (layer, index) == key and value >= 0.1
            )
            for each, of in zip(many, total, strict=True)
            if key in of
        ]
        assert column["activation"] == pytest.approx(np.mean(largest), abs=1e-6)
        of_others = [np.mean([key in names_of(each.keys) for each in other]) for other in others]
        assert column["elsewhere"] == pytest.approx(np.mean(of_others))
        assert column["specificity"] == pytest.approx(size[row] * (1 - np.mean(of_others)))
        assert np.isnan(column["p"]) == (len(there) < PARAMS.min_groups)


def test_edges_against_a_plain_reference() -> None:
    rng = np.random.default_rng(2)
    many = [random_arrays(rng) for _ in range(10)]
    groups = ["a", "a", "a", "b", "b", "c", "c", "c", "c", "d"]
    circuit = found_in([prompt_circuit(each, g, 0.1) for each, g in zip(many, groups, strict=True)])
    kept = set(names_of(circuit.keys))
    sums: list[dict[tuple[tuple[int, int], tuple[int, int]], float]] = []
    for arrays in many:
        one: dict[tuple[tuple[int, int], tuple[int, int]], float] = defaultdict(float)
        for s, t, w in zip(arrays["edge_source"], arrays["edge_target"], arrays["edge_weight"], strict=True):
            ends = [(int(arrays["active_layer"][n]), int(arrays["active_feature"][n])) for n in (s, t)]
            strong = all(arrays["active_value"][n] >= 0.1 for n in (s, t))
            if strong and all(end in kept for end in ends):
                one[ends[0], ends[1]] += float(w)
        sums.append(one)
    expected = {}
    for pair in {pair for one in sums for pair in one}:
        share = np.mean([pair in one for one in sums])
        means = [
            np.mean([one.get(pair, 0.0) for one, g in zip(sums, groups, strict=True) if g == name])
            for name in "abcd"
        ]
        if share >= PARAMS.least_share and abs(np.mean(means)) >= PARAMS.least_edge:
            expected[pair] = (float(np.mean(means)), float(share))
    for target in {pair[1] for pair in expected}:
        into = sorted((pair for pair in expected if pair[1] == target), key=lambda p: -abs(expected[p][0]))
        for pair in into[PARAMS.node_edges :]:
            del expected[pair]
    edges = circuit.edges
    found = dict(
        zip(
            zip(names_of(edges.source), names_of(edges.target), strict=True),
            zip(edges.weight.tolist(), circuit.edge_frequency.tolist(), strict=True),
            strict=True,
        )
    )
    assert len(expected) > 5
    assert found.keys() == expected.keys()
    for pair, values in expected.items():
        assert found[pair] == pytest.approx(values, abs=1e-6)
    assert (np.diff(np.abs(edges.weight)) <= 0).all()


def planted(rng: np.random.Generator, signs: Sequence[float]) -> list[PromptCircuit]:
    """Prompts of a group each: feature 0/1 helps the right answer, 60 others do anything."""
    prompts = []
    for number, sign in enumerate(signs):
        index = np.arange(61)
        keys = feature_key(np.zeros(61, np.int64), index)
        total = sign * np.append(1 + 0.1 * rng.normal(), rng.normal(size=60))
        prompts.append(
            PromptCircuit(
                group=f"g{number}",
                keys=keys,
                effects={name: total for name in EFFECTS},
                activation=np.ones(61),
                edges=prompt_circuit(random_arrays(rng), "x", 2.0).edges,
            )
        )
    return prompts


def test_the_planted_feature_is_found_and_exchanged_answers_find_nothing() -> None:
    rng = np.random.default_rng(3)
    circuit = found_in(planted(rng, [1.0] * 20))
    assert names_of(circuit.keys)[0] == (0, 0)
    assert circuit.columns["sign_agreement"][0] == 1
    assert names_of(circuit.keys[circuit.columns["q"] <= 0.05]) == [(0, 0)]
    # An exchanged answer turns the sign of all that is done to the contrast.
    false = 0
    for _ in range(20):
        exchanged = found_in(planted(rng, rng.choice([-1.0, 1.0], 20)))
        false += int((exchanged.columns["q"] <= 0.05).any())
    assert false <= 3, "at most 5% of draws, and by chance a few more"


def test_features_of_like_effects_are_a_supernode() -> None:
    rng = np.random.default_rng(4)
    profile = rng.normal(size=(3, 12))
    rows = np.repeat(profile, [3, 2, 4], axis=0) * rng.uniform(0.5, 2, (9, 1))
    keys = feature_key(np.zeros(9, np.int64), np.arange(9))
    prompts = [
        PromptCircuit(
            group=f"g{column}",
            keys=keys,
            effects={name: rows[:, column] for name in EFFECTS},
            activation=np.ones(9),
            edges=prompt_circuit(random_arrays(rng), "x", 2.0).edges,
        )
        for column in range(12)
    ]
    circuit = find_circuit(prompts, [], PARAMS.model_copy(update={"supernodes": 3}), rng)
    of = dict(zip(split_key(circuit.keys)[1].tolist(), circuit.columns["supernode"].tolist(), strict=True))
    assert [len({of[n] for n in part}) for part in (range(3), range(3, 5), range(5, 9))] == [1, 1, 1]
    assert len(set(of.values())) == 3
    assert np.isnan(circuit.columns["elsewhere"]).all(), "there is no other behaviour"


def test_nothing_traced_is_an_empty_circuit() -> None:
    circuit = found_in([])
    assert len(circuit.keys) == len(circuit.edges.weight) == len(circuit.columns["q"]) == 0
    assert frequencies([])[1].shape == (0,)
    rare = [prompt_circuit(random_arrays(np.random.default_rng(5)), "g", 2.0)]  # none is as active
    assert len(found_in(rare).keys) == 0
