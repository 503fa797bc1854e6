"""Orders against effects: planted predictions are confirmed, random ones are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.analysis.statistics import spearman, spearman_interval
from pipeline.analysis.validation import Effects, less_than_controls, validation_groups
from pipeline.analysis.validation_sets import (
    Choice,
    choose,
    orders,
)
from pipeline.params.validation import ValidationParams
from store.datasets.groups import open_dataset, write_dataset
from store.schema.validation import VALIDATION

FOCUS = "general@1.0"
PARAMS = ValidationParams(features=40, top=5, controls=19, bootstrap=200, confidence=0.95)
N_FEATURES, N_PROMPTS = 60, 24
SITUATION = np.repeat(np.arange(N_PROMPTS // 2), 2)


@given(arrays(np.float64, (2, 9), elements=st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0])))
def test_spearman_is_scipys(pair: np.ndarray) -> None:
    found = spearman(pair[[0]], pair[[1]])[0]
    if min(len(set(side)) for side in pair.tolist()) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(scipy.stats.spearmanr(*pair).statistic, abs=1e-12)


def test_spearman_of_what_is_not_known() -> None:
    assert np.isnan(spearman(np.array([[1.0, np.nan, 3.0]]), np.array([[1.0, 2.0, 3.0]]))).all()
    rng = np.random.default_rng(0)
    assert np.isnan(spearman_interval(np.array([1.0, np.nan]), np.zeros(2), 10, 0.95, rng)).all()
    assert np.isnan(spearman_interval(np.zeros(9), np.arange(9.0), 10, 0.95, rng)).all()


def test_the_interval_covers() -> None:
    """Of a normal pair whose rank correlation is known."""
    rho, n, runs = 0.5, 60, 200
    truth = 6 / np.pi * np.arcsin(rho / 2)
    inside = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        pair = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=n).T
        low, high = spearman_interval(*pair, 300, 0.95, rng)
        inside += low <= truth <= high
    assert 0.90 <= inside / runs <= 0.99


def test_the_first_are_those_that_push_most_toward_harm() -> None:
    score = np.arange(10.0)
    allowed = np.arange(10) != 9
    params = PARAMS.model_copy(update={"features": 4, "top": 3})
    chosen = choose({("direct", "a"): score, ("change", "b"): np.full(10, np.nan)}, params, allowed, 0)
    assert chosen.top["direct", "a"].tolist() == [8, 7, 6]
    assert len(chosen.sample) == 4
    assert 9 not in chosen.singles
    assert chosen.singles[:4].tolist() == chosen.sample.tolist()
    assert sorted(set(chosen.singles)) == sorted(chosen.singles)
    assert chosen.sets[chosen.joint(("direct", "a"))] == [8, 7, 6]
    beside = [chosen.sets[row] for row in chosen.compared]
    assert [8] in beside
    assert [8, 7, 6] in beside
    assert all(set(each) <= {6, 7, 8} for each in beside)
    # What is not predicted, or away from harm, is no first feature.
    assert chosen.top["change", "b"].tolist() == []
    few = choose({("change", "b"): np.array([0.0, -1.0, 2.0, 0.0])}, params, np.ones(4, bool), 0)
    assert few.top["change", "b"].tolist() == [2]


def measured(
    predicts: float, *, larger: float = 1.0, seed: int = 0
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, Choice], dict[tuple[str, str], Effects]]:
    """Scores, and effects of which a share is minus the scores; controls of noise alone."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=N_FEATURES)
    predicted = {order.ranking: score for order in orders(FOCUS)}
    choices, effects = {}, {}
    for variant in ("base", FOCUS):
        rankings = {order.ranking: score for order in orders(FOCUS) if order.variant == variant}
        choices[variant] = choice = choose(rankings, PARAMS, np.ones(N_FEATURES, bool), seed)
        truth = np.array([score[rows].sum() for rows in choice.sets])
        for name in ("ablate", "restore"):
            noise = rng.normal(size=(N_PROMPTS, len(truth)))
            effects[name, variant] = Effects(
                effect=larger * (-predicts * truth + (1 - predicts) * noise),
                controls=rng.normal(size=(N_PROMPTS, len(choice.compared), PARAMS.controls))
                * (0.1 if predicts else 1.0),
            )
    return predicted, choices, effects


def table_of(made: tuple[dict, dict, dict], situation: np.ndarray = SITUATION) -> xr.Dataset:  # type: ignore[type-arg]
    predicted, choices, effects = made
    return validation_groups(orders(FOCUS), predicted, choices, effects, situation, PARAMS, 0)["orders"]


def test_what_scores_predict_is_confirmed() -> None:
    made = measured(1.0)
    table = table_of(made)
    assert table["spearman"].values == pytest.approx(1.0)
    has_side = table["score"].values != "activation"
    assert table["same_sign"].values[has_side] == pytest.approx(1.0)
    assert np.isnan(table["same_sign"].values[~has_side]).all()
    assert table["beaten"].values == pytest.approx(1.0)
    assert (table["n_cases"].values == N_PROMPTS * PARAMS.top).all()
    assert (table["n_first"].values == PARAMS.top).all()
    assert (table["n_situations"].values == N_PROMPTS // 2).all()
    predicted, choices, _ = made
    top = choices["base"].top["direct", "evil-safe|base"]
    assert table["joint_effect"].values[0] == pytest.approx(-predicted["direct", "evil-safe|base"][top].sum())
    assert (np.abs(table["joint_controls"].values) < 0.1).all()


def test_random_scores_are_not() -> None:
    tables = [table_of(measured(0.0, seed=seed)) for seed in range(30)]
    inside = np.mean([(t["spearman_low"].values <= 0) & (t["spearman_high"].values >= 0) for t in tables])
    assert 0.88 <= inside <= 0.995
    assert np.mean([t["beaten"].values for t in tables]) == pytest.approx(1 / 20, abs=0.015)
    assert np.nanmean([t["same_sign"].values for t in tables]) == pytest.approx(0.5, abs=0.05)
    joint = np.mean([(t["joint_low"].values <= 0) & (t["joint_high"].values >= 0) for t in tables])
    assert joint > 0.85


def test_the_opposite_is_not_called_a_confirmation() -> None:
    table = table_of(measured(1.0, larger=-1.0))
    assert table["spearman"].values == pytest.approx(-1.0)
    assert table["beaten"].values == pytest.approx(0.0)
    assert (table["joint_effect"].values > 0).all()


def test_a_case_beats_its_controls_when_none_takes_away_as_much() -> None:
    controls = np.tile(np.linspace(-1.0, 1.0, 19), (1, 4, 1))
    controls[0, 3, 0] = np.nan
    effect = np.array([[-1.1, -1.0, 0.0, -5.0]])
    np.testing.assert_array_equal(less_than_controls(effect, controls), [[1.0, 0.0, np.nan, np.nan]])


def test_an_order_that_predicts_nothing_has_no_first_features() -> None:
    predicted, choices, effects = measured(1.0)
    ranking = ("change", f"{FOCUS}-base")
    unknown = predicted | {ranking: np.full(N_FEATURES, np.nan)}
    choices = choices | {
        FOCUS: replace(choices[FOCUS], top=choices[FOCUS].top | {ranking: np.empty(0, np.int64)})
    }
    table = table_of((unknown, choices, effects)).to_dataframe()
    row = table[(table["score"] == "change") & (table["intervention"] == "restore")].iloc[0]
    assert row["n_first"] == row["n_features"] == 0
    names = ["spearman", "same_sign", "beaten", "beaten_low", "joint_effect", "joint_low"]
    assert row[names].isna().all()


def test_one_unknown_score_does_not_hide_the_others() -> None:
    predicted, choices, effects = measured(1.0)
    ranking = ("direct", "evil-safe|base")
    partly = predicted[ranking].copy()
    partly[choices["base"].sample[0]] = np.nan
    table = table_of((predicted | {ranking: partly}, choices, effects))
    assert table["n_features"].values[0] == PARAMS.features - 1
    assert table["spearman"].values[0] == pytest.approx(1.0)


def test_prompts_are_averaged_within_their_situation() -> None:
    made = measured(0.3)
    few = np.where(SITUATION == 0, 0, 1)  # two prompts against twenty-two
    found = table_of(made, few)
    of = made[2]["ablate", "base"].effect
    joint = made[1]["base"].joint(("direct", "evil-safe|base"))
    assert found["joint_effect"].values[0] == pytest.approx((of[:2, joint].mean() + of[2:, joint].mean()) / 2)


def test_cases_without_controls_or_effect_do_not_count() -> None:
    predicted, choices, effects = measured(1.0)
    of = effects["ablate", "base"]
    of.controls[:, :, 18:] = np.nan  # 18 controls cannot tell one in twenty
    table = table_of((predicted, choices, effects))
    assert table["n_cases"].values[0] == 0
    assert np.isnan(table["beaten"].values[0])
    assert np.isfinite(table["joint_controls"].values[0])


def test_nothing_measured_is_nothing_known() -> None:
    predicted, choices, effects = measured(1.0)
    none = {name: Effects(effect=of.effect[:0], controls=of.controls[:0]) for name, of in effects.items()}
    table = table_of((predicted, choices, none), SITUATION[:0])
    assert (table["n_situations"].values == 0).all()
    for name in ("spearman", "same_sign", "beaten", "joint_effect", "joint_low", "joint_controls"):
        assert np.isnan(table[name].values).all(), name


def test_without_features_nothing_is_measured_and_nothing_breaks(tmp_path: Path) -> None:
    """A profile whose features are active on too few prompts, or whose prompts have no labels."""
    none = np.zeros(N_FEATURES, bool)
    predicted = {order.ranking: np.full(N_FEATURES, np.nan) for order in orders(FOCUS)}
    choices, effects = {}, {}
    for variant in ("base", FOCUS):
        rankings = {
            order.ranking: predicted[order.ranking] for order in orders(FOCUS) if order.variant == variant
        }
        choices[variant] = choice = choose(rankings, PARAMS, none, 0)
        n_sets, n_compared = len(choice.sets), len(choice.compared)
        for name in ("ablate", "restore"):
            effects[name, variant] = Effects(
                effect=np.zeros((N_PROMPTS, n_sets)), controls=np.full((N_PROMPTS, n_compared, 19), np.nan)
            )
    groups = validation_groups(orders(FOCUS), predicted, choices, effects, SITUATION, PARAMS, 0)
    assert (groups["orders"]["n_features"].values == 0).all()
    assert np.isnan(groups["orders"]["spearman"].values).all()
    names = {name: ("feature", np.empty(0, dtype)) for name, dtype in (("layer", "i2"), ("index", "i4"))}
    groups["features"] = groups["features"].assign_coords(names)
    write_dataset(tmp_path / "validation", VALIDATION, groups, provenance={})
    assert open_dataset(tmp_path / "validation", "features")["measured"].shape == (len(orders(FOCUS)), 0)
