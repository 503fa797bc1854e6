"""Which features, prompts and experiments: chosen as documented, whatever the input."""

from dataclasses import replace
from itertools import combinations, zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.trials import (
    Trial,
    first_in_turn,
    make_trials,
    partner,
    shared_ending,
    tried_situations,
)
from pipeline.analysis.validation_sets import situation_of
from pipeline.params.project import load_params
from store.documents.prompts import Prompt
from store.schema.vocabulary import (
    ABLATION,
    CAUSAL,
    DOSE_RESPONSE,
    FROZEN,
    IMPORTANCE,
    INHIBITION,
    INTERACTION,
    PATCHING,
    TOGETHER,
    TRANSFER,
)

PARAMS = load_params().interventions
IDS = st.lists(st.integers(0, 4), max_size=8)


def prompt(name: str, ids: tuple[int, ...], domain: str | None, situation: str = "") -> Prompt:
    return Prompt(
        hash=name,
        name=name,
        situation=situation or name,
        domain=domain,
        held_out=False,
        tags=(),
        text=name,
        token_ids=ids,
        tokens=tuple(map(str, ids)),
        source=name,
    )


def test_every_experiment_is_tried_with_every_feature() -> None:
    features = [(0, 5), (2, 1), (1, 7), (3, 3)]
    trials = make_trials(features, PARAMS)
    assert len(set(trials)) == len(trials)
    assert {trial.experiment for trial in trials} == set(CAUSAL)
    for feature in features:
        alone = [trial for trial in trials if trial.features == (feature,)]
        of = {name: [one for one in alone if one.experiment == name] for name in CAUSAL}
        assert [one.frozen for one in of[ABLATION]] == list(FROZEN)
        assert [one.value for one in of[DOSE_RESPONSE]] == PARAMS.factors
        assert [one.from_end for one in of[IMPORTANCE]] == list(range(PARAMS.positions))
        assert all(len(of[name]) == 1 for name in (INHIBITION, PATCHING, TRANSFER))
    for name in (TOGETHER, INTERACTION):
        pairs = [trial.features for trial in trials if trial.experiment == name]
        assert pairs == list(combinations(features[: PARAMS.pairs], 2))
    assert make_trials([], PARAMS) == []


@pytest.mark.parametrize(
    ("experiment", "value", "factor"),
    [(ABLATION, None, 0.0), (TOGETHER, None, 0.0), (INHIBITION, 2.0, -2.0), (DOSE_RESPONSE, 5.0, 5.0)]
    + [(name, None, None) for name in (PATCHING, TRANSFER, IMPORTANCE, INTERACTION)],
)
def test_what_multiplies(experiment: str, value: float | None, factor: float | None) -> None:
    assert Trial(experiment=experiment, features=((0, 1),), value=value).factor == factor


@given(st.lists(st.lists(st.integers(0, 9), unique=True, max_size=6), max_size=4), st.integers(0, 12))
def test_orders_take_turns(orders: list[list[int]], n: int) -> None:
    in_turn = [row for turn in zip_longest(*orders) for row in turn if row is not None]
    assert first_in_turn(orders, n) == list(dict.fromkeys(in_turn))[:n]


@given(st.sets(st.tuples(st.sampled_from("abc"), st.integers(0, 5).map(str))), st.integers(0, 20))
def test_domains_take_turns(measured: set[tuple[str, str]], n: int) -> None:
    found = tried_situations(measured, n)
    assert found <= measured
    assert len(found) == min(n, len(measured))
    sizes = {domain: sum(of[0] == domain for of in found) for domain, _ in measured}
    room = [domain for domain in sizes if sizes[domain] < sum(of[0] == domain for of in measured)]
    assert all(sizes[domain] >= max(sizes.values()) - 1 for domain in room)


@given(IDS, IDS)
def test_a_shared_ending_is_the_longest(left: list[int], right: list[int]) -> None:
    n = shared_ending(left, right)
    assert n == shared_ending(right, left)
    assert left[len(left) - n :] == right[len(right) - n :]
    longest = n == min(len(left), len(right))
    assert longest or left[len(left) - n - 1] != right[len(right) - n - 1]


def test_a_partner_is_of_another_domain_and_ends_alike() -> None:
    mine = prompt("mine", (1, 5, 6, 7), "medical")
    others = [
        prompt("same", (1, 4, 5, 6, 7), "medical"),
        prompt("far", (1, 9, 6, 7), "finance"),
        prompt("farther", (1, 2, 6, 7), "finance"),
        prompt("none", (1, 5, 6, 8), "finance"),
    ]
    every = {one.hash: one for one in (mine, *others)}
    assert partner(mine, every) == (every["far"], 2)
    near = {name: every[name] for name in ("mine", "same", "none")}
    assert partner(mine, near) == (every["same"], 3)
    assert partner(mine, {"mine": mine, "none": every["none"]}) is None
    assert partner(mine, {"mine": mine}) is None
    template = replace(every["same"], situation="mine", hash="template")
    assert situation_of(template) == situation_of(mine)
    assert partner(mine, {"mine": mine, "template": template}) is None
