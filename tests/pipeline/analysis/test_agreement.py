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
from store.schema.vocabulary import ALL
from tests.support.agreement import items, measured, some

FAST: Final = Resampling(resamples=200, confidence=0.95, min_situations=5, seed=0)


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
