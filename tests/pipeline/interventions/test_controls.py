"""Matched random controls: like sizes, the same deeds, and no effect of their own."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.analysis.next_token import band
from pipeline.interventions.controls import match_controls
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.models.loading import load_replacement, load_transcoders
from tests.support.interventions import BASE, uncached

TOKEN, PLANTED = 77, 11


@pytest.fixture(scope="module")
def planted(manifest: Any) -> SteeringEngine:
    """Feature L2/11 writes straight toward one token; its decoder is no longer than others."""
    transcoders = copy.deepcopy(load_transcoders(manifest))
    replacement = load_replacement(manifest, BASE, transcoders=transcoders)
    with torch.no_grad():
        direction = replacement.unembed.W_U[:, TOKEN] * replacement.ln_final.w
        row = transcoders[2].W_dec[PLANTED]
        row.copy_(direction / direction.norm() * row.norm())
    return SteeringEngine(replacement)


@pytest.mark.parametrize("where", ["last", "always"])
def test_a_planted_feature_moves_its_token_and_random_controls_do_not(
    planted: SteeringEngine, ids: tuple[int, ...], where: Any
) -> None:
    """Trap 24."""
    one = Intervention(layer=2, feature=PLANTED, mode="add", value=6.0, where=where)
    result = planted.next_token(ids, [one], controls=20)
    assert len(result.controls) == 20
    effect = result.effect_log_probability[TOKEN]
    controls = result.control_effect_log_probability[:, TOKEN]
    assert effect > 1.0
    assert effect > 2 * np.abs(controls).max()
    low, high = band(result.control_effect_log_probability)
    assert low[TOKEN] < 0.3
    assert effect > 2 * high[TOKEN]


def test_controls_do_the_same_to_strangers_of_the_same_layers(
    engine: SteeringEngine, ids: tuple[int, ...]
) -> None:
    setting = (
        Intervention(layer=1, feature=3, mode="add", value=2.0, where="all"),
        Intervention(layer=1, feature=4, mode="set", value=1.0, where=(2, 3)),
        Intervention(layer=2, feature=9, mode="add", value=-1.0),
        Intervention(layer=1, feature=3, mode="multiply", value=0.5),
    )
    controls = engine.next_token(ids, setting, controls=10).controls
    assert controls
    for control in controls:
        for one, theirs in zip(setting, control, strict=True):
            assert (one.layer, one.mode, one.value, one.where) == (
                theirs.layer,
                theirs.mode,
                theirs.value,
                theirs.where,
            )
            assert (theirs.layer, theirs.feature) not in {(1, 3), (1, 4), (2, 9)}
        assert control[0].feature == control[3].feature
        assert control[0].feature != control[1].feature


def test_a_slider_keeps_its_strangers(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    def strangers(value: float, seed: int = 0) -> list[int]:
        one = Intervention(layer=1, feature=3, mode="add", value=value)
        return [control[0].feature for control in engine.next_token(ids, [one], seed=seed).controls]

    assert strangers(1.0) == strangers(2.0)
    assert strangers(1.0) != strangers(1.0, seed=1)
    assert len(set(strangers(1.0))) == 20


def test_each_control_is_what_it_says(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    setting = [
        Intervention(layer=0, feature=3, mode="add", value=2.0, where="always"),
        Intervention(layer=2, feature=9, mode="set", value=3.0),
    ]
    result = engine.next_token(ids, setting, controls=5)
    for row, control in zip(result.control_logits, result.controls, strict=True):
        np.testing.assert_allclose(row, uncached(engine, ids, control), atol=1e-5)


def one(mode: Any = "add", feature: int = 0) -> Intervention:
    return Intervention(layer=0, feature=feature, mode=mode, value=2.0)


def match(activity: np.ndarray, norms: np.ndarray, mode: Any = "add", n: int = 5) -> list[int]:
    controls = match_controls([one(mode)], {(0, 0): activity}, {0: norms}, n=n, seed=0)
    return [control[0].feature for control in controls]


def test_norms_are_matched() -> None:
    norms = np.r_[1.0, np.geomspace(0.9, 1.1, 20), np.geomspace(5, 50, 40)]
    assert all(feature <= 20 for feature in match(np.zeros(61), norms))


def test_an_inactive_feature_is_compared_with_inactive_ones() -> None:
    activity = np.r_[0.0, np.zeros(20), np.full(40, 3.0)]
    assert all(feature <= 20 for feature in match(activity, np.ones(61)))


def test_an_active_feature_is_compared_with_ones_of_like_activation() -> None:
    activity = np.r_[2.0, np.linspace(1.8, 2.2, 20), np.full(20, 40.0), np.zeros(20)]
    assert all(1 <= feature <= 20 for feature in match(activity, np.ones(61)))


def test_multiplying_is_compared_with_active_features_only() -> None:
    """Trap 16 for the controls: multiplied zeros would make a band of no width."""
    activity = np.zeros(30)
    activity[[0, 4, 9]] = 1.0
    assert sorted(match(activity, np.ones(30), "multiply")) == [4, 9]
    activity[[4, 9]] = 0
    assert match(activity, np.ones(30), "multiply") == []


def test_features_without_a_decoder_are_no_strangers() -> None:
    norms = np.ones(30)
    norms[5:] = 0
    assert sorted(match(np.zeros(30), norms, n=20)) == [1, 2, 3, 4]


def test_two_features_never_share_a_stranger() -> None:
    setting = [one(feature=0), one(feature=1)]
    activity, norms = np.zeros(5), {0: np.ones(5)}
    controls = match_controls(setting, {(0, 0): activity, (0, 1): activity}, norms, n=3, seed=0)
    assert len(controls) == 3
    for first, second in controls:
        assert first.feature != second.feature
        assert {first.feature, second.feature} <= {2, 3, 4}
    few = match_controls(setting, {(0, 0): activity[:3], (0, 1): activity[:3]}, {0: np.ones(3)}, n=3, seed=0)
    assert few == ()


def test_the_band_is_made_of_quantiles() -> None:
    low, high = band(np.arange(101.0)[:, None] * [1, 2], share=0.9)
    assert low.tolist() == pytest.approx([5, 10])
    assert high.tolist() == pytest.approx([95, 190])
    assert band(np.empty((0, 2))) is None
