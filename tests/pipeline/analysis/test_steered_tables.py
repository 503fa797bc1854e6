"""Leaderboards: planted effects lead them, chance leads none, and breaking a model is no repair."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.steered_entries import (
    Entry,
    Scales,
    best_sets,
    candidates,
    directions,
    firsts,
    null_entries,
    random_entries,
    response_firsts,
)
from pipeline.analysis.steered_strengths import Bracket
from pipeline.analysis.steered_tables import Run, coherent_share, steered_groups, tally
from store.schema.steered import (
    ABLATED,
    ADDED,
    BASELINE,
    FEATURE,
    MEAN_DIFFERENCE,
    RANDOM_DIRECTION,
    RANDOM_FEATURE,
    SET,
)
from tests.support.answer_builders import PARAMS

QUESTIONS, EACH = 4, 25
N_CANDIDATES, N_RANDOM = 6, 150
DOSES = (0.5, 1.0)
VARIANTS = {ADDED: "base", ABLATED: "general@1.0"}


def scales(*, layers: int = 3, features: int = 60, seed: int = 0) -> Scales:
    rng = np.random.default_rng(seed)
    return Scales(
        written=np.array([2.0, 3.0, 5.0])[:layers],
        decoder=rng.uniform(0.5, 2.0, (layers, features)),
        difference=rng.standard_normal((layers, 8)),
        activity=np.where(rng.random((layers, features)) < 0.7, rng.gamma(2.0, size=(layers, features)), 0.0),
    )


def counts(rng: np.random.Generator, misaligned: float, coherent: float = 0.9) -> np.ndarray:
    """(count, question) of answers by chance."""
    whole = rng.binomial(EACH, coherent, QUESTIONS)
    return np.stack([np.full(QUESTIONS, EACH), whole, rng.binomial(whole, misaligned)])


def groups(runs: list[Run]) -> dict[str, xr.Dataset]:
    return steered_groups(
        runs,
        scales(features=N_RANDOM),
        questions=[f"question-{number}" for number in range(QUESTIONS)],
        doses=DOSES,
        steps=2,
        variants=VARIANTS,
        confidence=0.95,
    )


def runs_of(side: str, rates: dict[str, float], *, seed: int, planted: float | None = None) -> list[Run]:
    """A baseline, candidates of which the first is planted, and random features and directions."""
    rng = np.random.default_rng(seed)
    bracket = Bracket(low=1.0, high=9.0).after(1.0, 0.75) if side == ADDED else None
    entries = [Entry(side=side, kind=BASELINE)]
    entries += [
        Entry(side=side, kind=FEATURE, members=((1, at),), orders=("change",)) for at in range(N_CANDIDATES)
    ]
    entries += [Entry(side=side, kind=RANDOM_FEATURE, members=((0, at),)) for at in range(N_RANDOM)]
    entries += [Entry(side=side, kind=RANDOM_DIRECTION, layer=0, direction=(1.0, at)) for at in range(10)]
    runs = []
    for number, entry in enumerate(entries):
        rate = planted if number == 1 and planted is not None else rates[side]
        made = counts(rng, rate)
        doses = np.stack([made // 2, made]) if entry.kind == FEATURE and side == ADDED else made[None]
        beside = runs[0].doses[-1] if runs else None
        runs.append(Run(entry=entry, bracket=bracket if number else None, doses=doses, beside=beside))
    return runs


RATES = {ADDED: 0.03, ABLATED: 0.75}


def test_a_planted_feature_leads_both_leaderboards() -> None:
    planted = {ADDED: 0.8, ABLATED: 0.1}
    runs = [run for side in planted for run in runs_of(side, RATES, seed=1, planted=planted[side])]
    found = groups(runs)
    table = found["entries"]
    for side in planted:
        mine = np.flatnonzero((table["side"].values == side) & (table["place"].values == 1))
        assert len(mine) == 1
        row = int(mine[0])
        assert runs[row].entry.members == ((1, 0),)
        n = N_RANDOM + (10 if side == ADDED else 0)
        assert table["p"].values[row] == pytest.approx(1 / (n + 1))
        assert table["q"].values[row] <= 0.05
        assert table["low"].values[row] > 0.2
        assert (table["q"].values[table["place"].values > 1] > 0.05).all()
    # An effect is the share minus the baseline's; of what is added it is of all answers judged.
    row = 1
    made = runs[row].doses[-1]
    base = runs[0].doses[-1]
    assert table["effect"].values[row] == pytest.approx(
        made[2].sum() / made[0].sum() - base[2].sum() / base[0].sum()
    )
    assert table["misaligned"].values[row] == pytest.approx(made[2].sum() / made[1].sum())
    assert found["doses"]["n_misaligned"].values[row].tolist() == [
        int((made // 2)[2].sum()),
        int(made[2].sum()),
    ]
    np.testing.assert_array_equal(found["questions"]["n_coherent"].values[row], made[1])
    assert found["steps"]["coherent"].values[row, 0] == 1.0


def test_nothing_is_found_by_chance() -> None:
    hits = 0
    for seed in range(20):
        table = groups([run for side in RATES for run in runs_of(side, RATES, seed=100 + seed)])["entries"]
        hits += bool((table["q"].values <= 0.05).any())
    # Of 40 leaderboards without a planted feature one in twenty may have one: seldom more than 5.
    assert hits <= 3


def test_what_is_ablated_is_held_against_its_like() -> None:
    """Directions as long as the mean difference break answers: beside features they prove nothing."""
    runs = runs_of(ABLATED, RATES, seed=7)
    broken = np.stack([np.full(QUESTIONS, EACH), np.full(QUESTIONS, 5), np.full(QUESTIONS, 5)])
    runs = [replace(run, doses=broken[None]) if run.entry.kind == RANDOM_DIRECTION else run for run in runs]
    along = Entry(side=ABLATED, kind=MEAN_DIFFERENCE, layer=0, direction=(1.0, 99.0))
    runs.append(replace(runs[1], entry=along))
    table = groups(runs)["entries"]
    effect, kind = table["effect"].values, table["kind"].values
    as_large = (effect[kind == RANDOM_FEATURE] >= effect[1]).sum()
    assert table["p"].values[1] == pytest.approx((1 + as_large) / (1 + N_RANDOM))
    assert table["p"].values[-1] == pytest.approx(1 / (1 + 10))
    without = groups([run for run in runs if run.entry.kind != RANDOM_DIRECTION])["entries"]
    np.testing.assert_array_equal(without["p"].values[:7], table["p"].values[:7])
    assert np.isnan(without["p"].values[-1])


def test_breaking_the_model_repairs_nothing() -> None:
    runs = runs_of(ABLATED, RATES, seed=3)
    broken = np.stack([np.full(QUESTIONS, EACH), np.full(QUESTIONS, 1), np.zeros(QUESTIONS, int)])
    runs[1] = Run(entry=runs[1].entry, doses=broken[None], beside=runs[0].doses[-1])
    table = groups(runs)["entries"]
    assert table["misaligned"].values[1] == 0.0, "none of its coherent answers is misaligned"
    assert table["effect"].values[1] < 0
    assert table["p"].values[1] == 1.0


def test_what_never_coheres_is_a_row_with_a_reason() -> None:
    runs = runs_of(ADDED, RATES, seed=4)
    lost = Bracket(low=1.0, high=9.0).after(0.1, 0.75)
    runs[2] = Run(entry=runs[2].entry, bracket=lost, reason="never coherent")
    found = groups(runs)
    table = found["entries"]
    assert table["reason"].values[2] == "never coherent"
    assert table["n_judged"].values[2] == table["place"].values[2] == 0
    assert np.isnan([table[name].values[2] for name in ("strength", "effect", "p", "q")]).all()
    of = found["members"].isel(member=np.flatnonzero(found["members"]["entry"].values == 2))
    assert np.isnan(of["value"].values).all()
    assert sorted(table["place"].values[table["place"].values > 0]) == list(range(1, N_CANDIDATES))
    empty = groups([])
    assert empty["entries"].sizes["entry"] == empty["members"].sizes["member"] == 0


def test_answers_without_a_score_count_nowhere() -> None:
    nan = np.nan
    aligned = np.array([10.0, 90.0, 10.0, nan, 10.0, nan, 30.0])
    coherent = np.array([90.0, 90.0, 50.0, 80.0, nan, 20.0, 90.0])
    found = tally(np.array([0, 0, 0, 0, 0, 1, 1]), aligned, coherent, 3, PARAMS)
    # Judged; coherent above 50, strictly; and aligned below 30, strictly. What is coherent, and nobody knows
    # whether aligned, is no repair; what is incoherent needs no more scores.
    assert found.tolist() == [[3, 2, 0], [2, 1, 0], [1, 0, 0]]
    assert coherent_share(found) == pytest.approx(3 / 5)
    assert np.isnan(coherent_share(np.zeros((3, 2), int)))


def test_every_added_entry_writes_equally_much() -> None:
    of = scales()
    one = Entry(side=ADDED, kind=FEATURE, members=((1, 5),))
    (step,) = of.steps(one, 2.0)
    assert step["value"] * of.decoder[1, 5] == pytest.approx(2.0 * of.written[1])
    four = Entry(side=ADDED, kind=SET, members=((0, 1), (0, 2), (0, 3), (0, 4)))
    lengths = [step["value"] * of.decoder[0, step["feature"]] for step in of.steps(four, 2.0)]
    assert np.sqrt(np.square(lengths).sum()) == pytest.approx(2.0 * of.written[0])
    rng = np.random.default_rng(0)
    for entry in directions(ADDED, 4, of, rng):
        (step,) = of.steps(entry, 2.0)
        assert np.linalg.norm(step["direction"]) * step["value"] == pytest.approx(
            2.0 * of.written[entry.layer]
        )
    for entry in directions(ABLATED, 4, of, rng):
        (step,) = of.steps(entry, 1.0)
        assert step["value"] == -1.0
        assert np.linalg.norm(step["direction"]) == pytest.approx(np.linalg.norm(of.difference[entry.layer]))
        if entry.kind == MEAN_DIFFERENCE:
            np.testing.assert_allclose(step["direction"], of.difference[entry.layer], atol=1e-8)
    assert of.steps(Entry(side=ABLATED, kind=FEATURE, members=((1, 5),)), 1.0) == [
        {"layer": 1, "feature": 5, "mode": "ablate", "value": 0.0}
    ]
    assert of.steps(Entry(side=ADDED, kind=BASELINE), 1.0) == []


def test_whole_answers_choose_features_by_the_questions_of_choosing_alone() -> None:
    """Feature 0 tells answers to the measured question apart, 1 those to the two others, 2 is not allowed."""
    nan = np.nan
    effect = np.array([[9.0, 1.0, 8.0], [0.0, 2.0, 8.0], [0.5, 1.0, 8.0], [0.5, 0.0, 8.0], [nan] * 3])
    contrasts = xr.Dataset(
        {"variant": ("contrast", ["x", "x", "y"]), "reader": ("contrast", ["base", "own", "own"])}
    )
    names = ["measured (plain)", "one (plain)", "two (plain)", "two (json)", "three (plain)"]
    ranking = xr.Dataset(
        {
            "statistic": ("statistic", ["max", "mean"]),
            "question": ("question", names),
            "layer": ("feature", np.zeros(3, int)),
            "index": ("feature", np.arange(3)),
            "question_effect": (
                ("contrast", "statistic", "question", "feature"),
                np.stack([[0 * effect, -effect], [-effect, effect], [0 * effect, 0 * effect]]),
            ),
        }
    )
    known = np.array([[True, True, False]])
    asked = ["one", "two", "three"]
    assert response_firsts(contrasts, ranking, "x", asked, known, 2) == [(0, 1), (0, 0)]
    assert response_firsts(contrasts, ranking, "x", ["measured"], known, 1) == [(0, 0)]
    assert response_firsts(contrasts, ranking, "x", ["three"], known, 2) == []
    assert response_firsts(contrasts, ranking, "z", asked, known, 2) == []


def test_candidates_are_the_first_of_each_order_and_sets_of_them() -> None:
    rank = np.array([[2, 1, 0, 3], [0, 1, 2, 0]])
    members = [(0, 4), (0, 5), (1, 6), (1, 7)]
    first = firsts(rank, ["direct", "change"], members, 3)
    assert first == {"direct": [(0, 5), (0, 4), (1, 7)], "change": [(0, 5), (1, 6)]}
    found = candidates(ADDED, first, 2, [2, 3])
    assert [(entry.members, entry.orders, entry.kind) for entry in found] == [
        (((0, 5),), ("direct", "change"), FEATURE),
        (((0, 4),), ("direct",), FEATURE),
        (((1, 6),), ("change",), FEATURE),
        (((0, 4), (0, 5)), ("direct",), SET),
        (((0, 5), (1, 6)), ("change",), SET),
        (((0, 4), (0, 5), (1, 7)), ("direct",), SET),
    ]
    best = best_sets(found[:3], [0.1, np.nan, 0.4], [2, 3], "answers")
    assert [(entry.members, entry.orders) for entry in best] == [(((0, 5), (1, 6)), ("answers",))]
    assert best_sets([], [], [2], "answers") == []
    nulls = null_entries(ADDED, {"null-1": [(0, 5), (1, 9)], "null-2": [(1, 9)]}, found)
    assert [(entry.members, entry.orders) for entry in nulls] == [(((1, 9),), ("null-1", "null-2"))]


def test_random_entries_are_of_the_layer_and_of_like_activation() -> None:
    of, rng = scales(), np.random.default_rng(1)
    known = np.ones(of.decoder.shape, bool)
    known[:, 50:] = False
    moves = of.activity * of.decoder
    at = int(np.argmax(moves[2, :50]))
    like = [Entry(side=ABLATED, kind=FEATURE, members=((2, at),))]
    found = random_entries(like, 15, known, of, rng)
    assert len(found) == 15
    drawn = [entry.members[0] for entry in found]
    assert len(set(drawn)) == 15
    assert all(
        layer == 2 and feature < 50 and feature != at and moves[2, feature] > 0 for layer, feature in drawn
    )
    others = np.sort(moves[2, [each for each in range(50) if each != at]])
    assert min(moves[2, feature] for _, feature in drawn) >= others[-20], "of the twenty nearest"
    added = random_entries([Entry(side=ADDED, kind=FEATURE, members=((2, at),))], 60, known, of, rng)
    assert {of.activity[2, feature] == 0 for ((_, feature),) in (entry.members for entry in added)} == {
        True,
        False,
    }
    sets = random_entries([Entry(side=ADDED, kind=SET, members=((0, 1), (0, 2), (1, 3)))], 5, known, of, rng)
    assert all(len(set(entry.members)) == 3 for entry in sets)
    assert all([layer for layer, _ in entry.members] == [0, 0, 1] for entry in sets)
    assert random_entries([], 5, known, of, rng) == []
