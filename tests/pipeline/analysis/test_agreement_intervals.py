"""Intervals of agreement: by situations, of labellers whose agreement is known."""

from typing import Final

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis.agreement import agreement
from pipeline.analysis.agreement_measures import (
    LABELS,
    Resampling,
    kappa_of_tables,
)
from pipeline.analysis.intervals import resampled_interval
from pipeline.analysis.label_queue import DISAGREE, EVIL_DIVERGENT, RANDOM, draw_prompts, draw_weights
from tests.support.agreement import items, measured, some
from tests.support.labellers import GOOD, GUESSING, MIDDLING, Labellers, against_rest, kappa_of

FAST: Final = Resampling(resamples=200, confidence=0.95, min_situations=5, seed=0)


def test_too_few_situations_have_no_interval() -> None:
    first, second, situation = some(5)
    for most, told in ((4, False), (5, True)):
        row = measured(agreement(first, second, items(situation % most), FAST)).loc["kappa"]
        assert row["n_situations"] == most
        assert row["n_effective"] == pytest.approx(most)
        assert np.isfinite(row["value"])
        assert np.isfinite([row["low"], row["high"]]).all() == told
    # A dozen, of which one weighs as much as all others together a hundred times over.
    heavy = measured(agreement(first, second, items(situation, np.where(situation == 3, 1000, 1)), FAST))
    assert heavy.loc["kappa", "n_situations"] == 12
    assert heavy.loc["kappa", "n_effective"] < 1.1
    assert heavy[["low", "high"]].drop("alpha_unweighted").isna().all(axis=None)


def test_perfect_agreement_keeps_a_width_by_situations() -> None:
    """However many items a situation has: what all agree on says nothing of how alike they are."""
    lows = {}
    for situations, each in ((6, 4), (6, 50), (60, 4)):
        situation = np.repeat(np.arange(situations), each)
        labels = np.tile(["evil", "safe"], len(situation) // 2)
        frame = measured(agreement(labels, labels, items(situation), FAST))
        # Without a false alarm their share is 0, and its upper bound tells how little is known.
        alarms = frame.loc["false_alarm_evil", ["value", "high", "low"]]
        assert (alarms[["value", "low"]] == 0).all()
        frame.loc["false_alarm_evil", ["value", "low", "high"]] = 1 - alarms.to_numpy(float)
        assert (frame[["value", "high"]] == 1).all(axis=None)
        lows[situations, each] = frame["low"].to_numpy()
    np.testing.assert_allclose(lows[6, 4], lows[6, 50], atol=0.06)
    assert (lows[6, 4] < 0.65).all()
    assert (lows[60, 4] > lows[6, 4] + 0.3).all()
    assert (lows[60, 4] < 0.95).all()


def test_more_of_the_same_in_a_situation_tells_nothing_new() -> None:
    """Each item twenty times in its own situation: the intervals of a twentieth of the items."""
    first, second, situation = MIDDLING.items(20, np.random.default_rng(4))
    once = measured(agreement(first, second, items(situation), FAST))
    again = np.tile(np.arange(len(first)), 20)
    often = measured(agreement(first[again], second[again], items(situation[again]), FAST))
    widths = [(frame["high"] - frame["low"]).to_numpy() for frame in (often, once)]
    assert (widths[0] > 0.8 * widths[1]).all()
    # Alpha corrects for the number of items; nothing else does.
    np.testing.assert_allclose(often["value"], once["value"], atol=0.005)


def test_the_interval_is_wilsons_of_as_many_samples_as_have_the_variance() -> None:
    """Against draws of situations one at a time."""
    rng = np.random.default_rng(3)
    tables = rng.multinomial(8, np.array([3, 1, 1, 1, 5, 1, 1, 1, 2]) / 16, size=30).reshape(30, 3, 3) * 1.0
    low, high = resampled_interval(tables, kappa_of_tables, 20_000, 0.9, np.random.default_rng(4))
    draws = [kappa_of(tables[rng.integers(0, 30, 30)].sum(axis=0)) for _ in range(4000)]
    rate, z = (1 + kappa_of(tables.sum(axis=0))) / 2, 1.6449
    samples = rate * (1 - rate) / (np.var(draws) * 30 / 29 / 4) * (z / 1.6991) ** 2  # Student's, 29 degrees
    # Wilson's bounds are where the rate is z standard errors away.
    for bound in (low, high):
        p = (1 + bound) / 2
        assert abs(rate - p) / np.sqrt(p * (1 - p) / samples) == pytest.approx(z, rel=0.04)
    assert low < kappa_of(tables.sum(axis=0)) < high
    wide = resampled_interval(tables, kappa_of_tables, 500, 0.9, np.random.default_rng(4), least=0.1)
    assert wide[0] < low < high < wide[1]
    assert np.isnan(resampled_interval(tables[:1], kappa_of_tables, 100, 0.9, rng)).all()
    one_label = tables * np.outer([1, 0, 0], [1, 0, 0])
    assert np.isnan(resampled_interval(one_label, kappa_of_tables, 100, 0.9, rng)).all()


def test_the_seed_is_all_that_is_random() -> None:
    first, second, situation = MIDDLING.items(40, np.random.default_rng(0))
    one, same = (agreement(first, second, items(situation), FAST) for _ in range(2))
    pd.testing.assert_frame_equal(one, same)
    other = agreement(
        first, second, items(situation), Resampling(resamples=200, confidence=0.95, min_situations=5, seed=1)
    )
    pd.testing.assert_series_equal(other["value"], one["value"])
    assert (measured(other)["low"] != measured(one)["low"])[["kappa", "alpha_unweighted"]].all()


@pytest.mark.parametrize(
    ("pair", "situations"),
    [(MIDDLING, 12), (GOOD, 12), (MIDDLING, 40), (GOOD, 40)],
    ids=["middling-12", "good-12", "middling-40", "good-40"],
)
def test_intervals_hold_the_truth(pair: Labellers, situations: int) -> None:
    """95% of 200 runs within binomial error; over a dozen situations they may hold it more often.

    Items come in situations that are easy or hard and have label rates of their own; the truth is
    known by analysis.
    """
    joint = pair.joint
    truth = {
        "agreement": np.trace(joint),
        "kappa": kappa_of(joint),
        "kappa_evil": kappa_of(against_rest(joint)),
        "precision_evil": joint[0, 0] / joint[:, 0].sum(),
        "recall_evil": joint[0, 0] / joint[0].sum(),
    }
    held = dict.fromkeys(truth, 0)
    told = dict.fromkeys(truth, 0)
    for seed in range(200):
        first, second, situation = pair.items(situations, np.random.default_rng([seed, situations]))
        frame = measured(agreement(first, second, items(situation), FAST))
        for name, value in truth.items():
            low, high = frame.loc[name, ["low", "high"]]
            held[name] += low <= value <= high
            told[name] += np.isfinite(low)
    assert min(told.values()) >= (200 if situations == 40 else 190)
    for name, hits in held.items():
        error = np.sqrt(0.95 * 0.05 / told[name])
        assert hits / told[name] >= 0.95 - 3 * error, name
        if situations == 40:
            assert hits / told[name] <= 0.95 + 3 * error, name


def test_of_raters_who_guess_kappa_is_around_0() -> None:
    assert kappa_of(GUESSING.joint) == pytest.approx(0, abs=1e-12)
    values, around = [], 0
    for seed in range(200):
        first, second, situation = GUESSING.items(40, np.random.default_rng([seed, 7]))
        row = measured(agreement(first, second, items(situation), FAST)).loc["kappa_evil"]
        values.append(row["value"])
        around += row["low"] <= 0 <= row["high"]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
    assert 181 <= around <= 199


def test_weights_of_the_queue_undo_its_strata() -> None:
    """Over 100 queues of 100 of 600 prompts, whose judged evil ones the judges often get wrong.

    The weighted numbers are the population's on average, the unweighted ones are far from it.
    """
    rng = np.random.default_rng(5)
    n = 600
    truth = rng.choice(LABELS, n, p=(0.2, 0.7, 0.1))
    judge = np.where(rng.random(n) < np.where(truth == "evil", 0.6, 0.95), truth, rng.choice(LABELS, n))
    second_judge = np.where(rng.random(n) < 0.9, truth, rng.choice(LABELS, n))
    situation = np.array([f"situation {number:03}" for number in rng.integers(0, 200, n)])
    prompts = [f"{number:04}" for number in range(n)]
    strata = {EVIL_DIVERGENT: judge == "evil", DISAGREE: judge != second_judge}
    shares = {EVIL_DIVERGENT: 0.5, DISAGREE: 0.25, RANDOM: 0.25}
    population = measured(agreement(truth, judge, items(situation), FAST))["value"]
    names = ["agreement", "kappa", "kappa_evil", "recall_evil"]
    weighted, plain, held = [], [], np.zeros(len(names))
    for seed in range(100):
        draws = draw_prompts(prompts, strata, shares, (), 100, seed=seed, author="ada")
        chosen = np.array([int(draw.prompt) for draw in draws])
        of = truth[chosen], judge[chosen]
        found = measured(agreement(*of, items(situation[chosen], draw_weights(draws)), FAST)).loc[names]
        weighted.append(found["value"])
        held += (found["low"] <= population[names]) & (population[names] <= found["high"])
        plain.append(measured(agreement(*of, items(situation[chosen]), FAST))["value"][names])
    for values, biased in ((weighted, False), (plain, True)):
        off = np.abs(np.mean(values, axis=0) - population[names])
        error = np.std(values, axis=0) / np.sqrt(100)
        assert (off > np.maximum(5 * error, 0.05)).all() if biased else (off < 3 * error).all()
    assert (held / 100 > 0.9).all()
