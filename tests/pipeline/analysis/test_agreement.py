"""Agreement against hand formulas, libraries and labellers whose agreement is known."""

from fractions import Fraction
from typing import Any, Final

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, confusion_matrix, precision_score, recall_score

from pipeline.analysis.agreement import UNLABELLED, agreement, confusion, raters_alpha
from pipeline.analysis.agreement_measures import (
    LABELS,
    Items,
    Resampling,
    alpha_of_coincidences,
    kappa_of_tables,
)
from pipeline.analysis.intervals import resampled_interval
from pipeline.analysis.label_queue import DISAGREE, EVIL_DIVERGENT, RANDOM, draw_prompts, draw_weights
from store.schema.vocabulary import ALL
from tests.support.labellers import GOOD, GUESSING, MIDDLING, Labellers, against_rest, kappa_of

FAST: Final = Resampling(resamples=200, confidence=0.95, min_situations=5, seed=0)


def items(situation: Any, weight: Any = 1.0, domain: Any = "") -> Items:
    situation = np.asarray(situation)
    shape = situation.shape
    return Items(
        situation=situation,
        domain=np.broadcast_to(np.asarray(domain, dtype=object), shape),
        weight=np.broadcast_to(np.asarray(weight, dtype=np.float64), shape),
    )


def measured(frame: pd.DataFrame, domain: str = ALL) -> pd.DataFrame:
    return frame[frame["domain"] == domain].set_index("measure")


def some(seed: int, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.choice(LABELS, n, p=(0.3, 0.5, 0.2))
    second = np.where(rng.random(n) < 0.6, first, rng.choice(LABELS, n))
    return first, second, rng.integers(0, 12, n)


def test_a_table_by_hand() -> None:
    """Rows are the reference; kappa by Cohen 1960 in exact fractions."""
    table = np.array([[9, 2, 1], [3, 20, 2], [0, 4, 5]])
    first = np.repeat(np.repeat(LABELS, 3), table.ravel())
    second = np.repeat(np.tile(LABELS, 3), table.ravel())
    frame = measured(agreement(first, second, items(np.arange(46) % 9), FAST))
    po, pe = Fraction(34, 46), Fraction(12 * 12 + 25 * 26 + 9 * 8, 46**2)
    evil, evil_chance = Fraction(46 - 3 - 3, 46), Fraction(12 * 12 + 34 * 34, 46**2)
    expected = {
        "agreement": po,
        "kappa": (po - pe) / (1 - pe),
        "kappa_evil": (evil - evil_chance) / (1 - evil_chance),
        "precision_evil": Fraction(9, 12),
        "recall_evil": Fraction(9, 12),
        "false_alarm_evil": Fraction(3, 34),
    }
    for name, value in expected.items():
        assert frame.loc[name, "value"] == pytest.approx(float(value), rel=1e-12)
    counted = confusion(first, second, items(np.arange(46) % 9))
    assert counted["n"].tolist() == table.ravel().tolist()
    assert counted["weight"].tolist() == table.ravel().tolist()
    assert list(zip(counted["reference"], counted["judge"], strict=True))[:3] == [
        ("evil", "evil"),
        ("evil", "safe"),
        ("evil", "unsure"),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_unweighted_values_are_the_libraries(seed: int) -> None:
    first, second, situation = some(seed)
    frame = measured(agreement(first, second, items(situation), FAST))["value"]
    codes = [np.array([LABELS.index(label) for label in side], float) for side in (first, second)]
    evil = first == "evil", second == "evil"
    expected = {
        "agreement": np.mean(first == second),
        "kappa": cohen_kappa_score(first, second),
        "kappa_evil": cohen_kappa_score(*evil),
        "alpha_unweighted": krippendorff.alpha(np.array(codes), level_of_measurement="nominal"),
        "precision_evil": precision_score(*evil),
        "recall_evil": recall_score(*evil),
        "false_alarm_evil": 1 - recall_score(*(~of for of in evil)),
    }
    assert frame.to_dict() == pytest.approx(expected, rel=1e-12)
    counted = confusion(first, second, items(situation))["n"].to_numpy().reshape(3, 3)
    np.testing.assert_array_equal(counted, confusion_matrix(first, second, labels=list(LABELS)))


def coincidences(units: list[list[int]], labels: int) -> np.ndarray:
    """(label, label) by definition: each ordered pair of one unit's values, over its raters less one."""
    found = np.zeros((labels, labels))
    for values in units:
        for i, one in enumerate(values):
            for j, other in enumerate(values):
                if i != j:
                    found[one, other] += 1 / (len(values) - 1)
    return found


def test_alpha_of_published_examples() -> None:
    """Krippendorff 2011, "Computing Krippendorff's alpha-reliability".

    Part A: two observers, two values, alpha 0.095. Part C: four observers, five values and missing ones,
    alpha 0.743; labels here are three, so that is of the coincidences.
    """
    first, second = "0100000010", "1110010000"
    words = np.array([[{"0": "safe", "1": "evil"}[value] for value in side] for side in (first, second)])
    found = raters_alpha(words, items(np.arange(10)), FAST)["value"].item()
    assert found == pytest.approx(0.095, abs=5e-4)
    rows = (
        "1 2 3 3 2 1 4 1 2 * * *",
        "1 2 3 3 2 2 4 1 2 5 * 3",
        "* 3 3 3 2 3 4 2 2 5 1 *",
        "1 2 3 3 2 4 4 1 2 5 1 *",
    )
    units = [
        [int(value) - 1 for value in unit if value != "*"] for unit in zip(*map(str.split, rows), strict=True)
    ]
    found = alpha_of_coincidences(coincidences(units, 5)).item()
    assert found == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize("raters", [2, 3, 5])
def test_alpha_of_any_number_of_raters_with_missing_labels(raters: int) -> None:
    rng = np.random.default_rng(raters)
    labels = rng.choice([*LABELS, UNLABELLED], size=(raters, 50), p=(0.2, 0.3, 0.1, 0.4))
    units = [[LABELS.index(label) for label in unit if label != UNLABELLED] for unit in labels.T]
    units = [unit for unit in units if len(unit) > 1]
    table = coincidences(units, 3)
    n, of_label = table.sum(), table.sum(axis=0)
    apart = 1 - np.trace(table) / n
    by_chance = 1 - sum(size * (size - 1) for size in of_label) / (n * (n - 1))
    row = raters_alpha(labels, items(np.arange(50) % 10), FAST).iloc[0]
    assert row["value"] == pytest.approx(1 - apart / by_chance, rel=1e-12)
    assert (row["n_items"], row["n_unlabelled"]) == (len(units), 50 - len(units))
    assert row["low"] < row["value"] < row["high"]


def test_a_missing_label_is_never_safe() -> None:
    """Trap 13: unlabelled items change nothing but their count; read as safe they would."""
    first, second, situation = some(1)
    gone = np.zeros(60, bool)
    gone[[3, 8, 20, 31]] = gone[40:50] = True
    sides = {"reference": first.astype(object), "judge": second.astype(object)}
    sides["reference"][gone[::-1]] = UNLABELLED
    sides["judge"][gone] = UNLABELLED
    left_out = gone | gone[::-1]
    found = agreement(sides["reference"], sides["judge"], items(situation), FAST)
    assert set(found["n_unlabelled"]) == {int(left_out.sum())}
    kept = agreement(first[~left_out], second[~left_out], items(situation[~left_out]), FAST)
    columns = ["measure", "value", "low", "high", "n_items", "n_situations", "n_effective"]
    pd.testing.assert_frame_equal(found[columns], kept[columns])
    as_safe = agreement(
        *(np.where(side == UNLABELLED, "safe", side) for side in sides.values()), items(situation), FAST
    )
    assert (as_safe["value"] - found["value"]).abs().min() > 1e-3
    counted = confusion(sides["reference"], sides["judge"], items(situation))
    assert counted["n"].sum() == (~left_out).sum()


@pytest.mark.parametrize("missing", ["", "nan", "Safe", np.nan, None])
def test_another_word_is_no_label(missing: Any) -> None:
    first, second, situation = some(2)
    wrong = second.astype(object)
    wrong[7] = missing
    for labels in ((first, wrong), (wrong, first)):
        with pytest.raises(ValueError, match=f"but not {missing}."):
            agreement(*labels, items(situation), FAST)
    with pytest.raises(ValueError, match="but not"):
        raters_alpha(np.array([first, wrong]), items(situation), FAST)


def test_what_does_not_fit_is_told() -> None:
    first, second, situation = some(2)
    with pytest.raises(ValueError, match="59 labels of 60 items"):
        agreement(first[1:], second, items(situation), FAST)
    for weight in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="positive and finite"):
            items(situation, weight)
    with pytest.raises(ValueError, match="one weight each"):
        Items(situation=situation, domain=situation, weight=np.ones(3))


def test_undefined_is_nan_and_not_0() -> None:
    situation = np.arange(30) % 10
    safe, evil = np.full(30, "safe"), np.full(30, "evil")
    some_evil = np.where(np.arange(30) % 3 == 0, "evil", "safe")
    never = measured(agreement(some_evil, safe, items(situation), FAST))
    assert np.isnan(never.loc["precision_evil", ["value", "low", "high"]].astype(float)).all()
    assert never.loc["precision_evil", "n_items"] == 0
    assert never.loc["recall_evil", "value"] == 0
    assert never.loc["false_alarm_evil", "value"] == 0
    assert never.loc["kappa", "value"] == 0
    none = measured(agreement(safe, evil, items(situation), FAST))["value"]
    assert np.isnan(none["recall_evil"])
    assert none["precision_evil"] == 0
    assert none["false_alarm_evil"] == 1
    same = measured(agreement(safe, safe, items(situation), FAST))
    assert same.loc["agreement", "value"] == 1
    for name in ("kappa", "kappa_evil", "alpha_unweighted", "precision_evil", "recall_evil"):
        assert np.isnan(same.loc[name, ["value", "low", "high"]].astype(float)).all()
    nothing = agreement(np.full(30, UNLABELLED), safe, items(situation), FAST)
    assert nothing[["value", "low", "high"]].isna().all(axis=None)
    assert set(nothing["n_items"]) == {0}
    empty = np.empty(0, dtype=str)
    assert len(agreement(empty, empty, items(np.empty(0)), FAST)) == 7


def test_each_domain_is_as_if_it_were_alone() -> None:
    first, second, situation = some(4, 120)
    domain = np.where(situation < 5, "medical", np.where(situation < 8, "", "finance"))
    weight = 1.0 + situation
    frame = agreement(first, second, items(situation, weight, domain), FAST)
    assert list(dict.fromkeys(frame["domain"])) == [ALL, "finance", "medical"]
    for name in ("finance", "medical"):
        of = domain == name
        alone = agreement(first[of], second[of], items(situation[of], weight[of]), FAST)
        pd.testing.assert_frame_equal(
            measured(frame, name).drop(columns="domain"), measured(alone).drop(columns="domain")
        )
        parts = confusion(first[of], second[of], items(situation[of], weight[of]))
        whole = confusion(first, second, items(situation, weight, domain))
        whole = whole[whole["domain"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(whole.drop(columns="domain"), parts.drop(columns="domain"))


cases = st.lists(
    st.tuples(
        st.sampled_from([*LABELS, UNLABELLED]),
        st.sampled_from([*LABELS, UNLABELLED]),
        st.integers(0, 7),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=40,
)
Case = list[tuple[str, str, int, int]]


def columns(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    first, second, situation, weight = zip(*case, strict=True)
    return np.array(first), np.array(second), np.array(situation), np.array(weight)


@given(cases, st.randoms(use_true_random=False), st.permutations(LABELS), st.sampled_from([1e-3, 1.0, 250.0]))
@settings(deadline=None, max_examples=25)
def test_order_names_and_units_change_nothing(case: Case, random: Any, named: list[str], unit: float) -> None:
    """Items in another order; situations of other names, sorted alike; weights in another unit; and, of
    what asks only for agreement, labels of other names."""
    first, second, situation, weight = columns(case)
    before = agreement(first, second, items(situation, weight), FAST)
    order = np.array(random.sample(range(len(case)), len(case)))
    names = np.array([f"situation {number}" for number in situation])
    again = agreement(first[order], second[order], items(names[order], unit * weight[order]), FAST)
    pd.testing.assert_frame_equal(again, before, rtol=1e-8, atol=1e-12)
    renamed = dict(zip(LABELS, named, strict=True), unlabelled=UNLABELLED)
    other = agreement(
        *(np.array([renamed[label] for label in side]) for side in (first, second)),
        items(situation, weight),
        FAST,
    )
    plain = ["agreement", "kappa", "alpha_unweighted"]
    pd.testing.assert_frame_equal(
        measured(other).loc[plain], measured(before).loc[plain], rtol=1e-8, atol=1e-12
    )
    swapped = measured(agreement(second, first, items(situation, weight), FAST))["value"]
    value = measured(before)["value"]
    for name in ("agreement", "kappa", "kappa_evil", "alpha_unweighted"):
        assert swapped[name] == pytest.approx(value[name], nan_ok=True)
    assert swapped["precision_evil"] == pytest.approx(value["recall_evil"], nan_ok=True)
    assert swapped["recall_evil"] == pytest.approx(value["precision_evil"], nan_ok=True)


@given(cases)
@settings(deadline=None, max_examples=25)
def test_integer_weights_are_repetition(case: Case) -> None:
    first, second, situation, weight = columns(case)
    frame = measured(agreement(first, second, items(situation, weight), FAST))
    again = np.repeat(np.arange(len(case)), weight)
    repeated = measured(agreement(first[again], second[again], items(situation[again]), FAST))
    for name in ("agreement", "kappa", "kappa_evil", "precision_evil", "recall_evil", "false_alarm_evil"):
        assert frame.loc[name, "value"] == pytest.approx(repeated.loc[name, "value"], nan_ok=True, abs=1e-12)
    counted = confusion(first[again], second[again], items(situation[again]))
    np.testing.assert_array_equal(
        confusion(first, second, items(situation, weight))["weight"], counted["n"].astype(float)
    )


@given(cases)
@settings(deadline=None, max_examples=25)
def test_kappas_of_tables_are_the_librarys(case: Case) -> None:
    """What is resampled is the number that is told."""
    first, second, _, weight = columns(case)
    known = (first != UNLABELLED) & (second != UNLABELLED)
    first, second, weight = first[known], second[known], weight[known]
    if len({*first, *second}) < 2:
        return
    table = confusion_matrix(first, second, labels=list(LABELS), sample_weight=weight / 7)
    expected = cohen_kappa_score(first, second, sample_weight=weight / 7)
    assert kappa_of_tables(np.array([table, table]))[1] == pytest.approx(expected, abs=1e-12)


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
