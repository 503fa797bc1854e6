"""Matched random controls: like sizes, the same deeds, and no effect of their own."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.analysis.next_token import FEWEST, band, empirical_p
from pipeline.interventions.controls import match_controls
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.models.loading import load_replacement, load_transcoders
from tests.support.builders import make_checkpoint
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
        Intervention(layer=1, feature=3, mode="add", value=2.0, where="prompt"),
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
    assert len(set(strangers(1.0))) == len(strangers(1.0)) >= 20


def test_each_control_is_what_it_says(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    setting = [
        Intervention(layer=0, feature=3, mode="add", value=2.0, where="always"),
        Intervention(layer=2, feature=9, mode="set", value=3.0),
    ]
    result = engine.next_token(ids, setting, controls=5)
    for row, control in zip(result.control_logits, result.controls, strict=True):
        np.testing.assert_allclose(row, uncached(engine, ids, control), atol=1e-5)


def one(mode: Any = "add", feature: int = 0, value: float = 2.0, where: Any = (0,)) -> Intervention:
    return Intervention(layer=0, feature=feature, mode=mode, value=value, where=where)


def match(activity: np.ndarray, norms: np.ndarray, mode: Any = "add", n: int = 5, **of: Any) -> list[int]:
    """Strangers of a setting at the one position of a prompt."""
    found = match_controls([one(mode, **of)], [(0,)], {0: activity[None]}, {0: norms}, n=n, seed=0)
    return [control[0].feature for control in found.settings]


def test_norms_are_matched() -> None:
    norms = np.r_[1.0, np.geomspace(0.9, 1.1, 20), np.geomspace(5, 50, 40)]
    assert all(feature <= 20 for feature in match(np.zeros(61), norms, n=20))


def test_activations_are_matched() -> None:
    activity = np.r_[2.0, np.linspace(1.8, 2.2, 20), np.full(20, 40.0), np.zeros(20)]
    assert sorted(match(activity, np.ones(61), n=20)) == list(range(1, 21))


def test_the_nearest_are_taken() -> None:
    activity = np.r_[1.0, 1.1, 0.5, 1.01, 3.0]
    norms = np.r_[1.0, 1.0, 1.0, 1.5, 1.0]
    # log ratios: 0.095; 0.693; 0.010 + 0.405; 1.099
    for n, nearest in ((1, {1}), (2, {1, 3}), (3, {1, 2, 3})):
        assert set(match(activity, norms, n=n)) == nearest


@pytest.mark.parametrize("mode", ["add", "set"])
def test_inactive_features_are_compared_with_inactive_ones_and_active_with_active(mode: str) -> None:
    """Trap 34, also where there are more of the others, and nearer ones by norm."""
    activity = np.r_[0.0, np.zeros(3), np.full(40, 3.0)]
    assert sorted(match(activity, np.ones(44), mode, n=20)) == [1, 2, 3]
    activity = np.r_[3.0, np.zeros(40), np.full(3, 0.01)]
    assert sorted(match(activity, np.ones(44), mode, n=20)) == [41, 42, 43]


def test_it_counts_where_a_feature_is_active_not_whether_it_is_elsewhere() -> None:
    activity = np.zeros((3, 10))
    activity[0] = 5.0  # all of them, where nothing is done
    activity[2, [0, 4, 7]] = 2.0
    found = match_controls([one(where=(2,))], [(2,)], {0: activity}, {0: np.ones(10)}, n=9, seed=0)
    assert sorted(setting[0].feature for setting in found.settings) == [4, 7]


def test_what_the_same_does_not_move_is_no_control_and_is_counted() -> None:
    """Trap 16 for the controls: multiplied zeros would make a band of no width."""
    activity = np.zeros((1, 30))
    activity[0, [0, 4, 9]] = 1.0
    for mode, value, unmoved in (("multiply", 2.0, 27), ("set", 0.0, 27), ("add", 1.0, 0), ("set", 1.0, 2)):
        setting = [one(mode, value=value)]
        found = match_controls(setting, [(0,)], {0: activity}, {0: np.ones(30)}, n=20, seed=0)
        assert found.unmoved == unmoved
        # Set to 1, the steered one does not move either, and nothing like it does.
        expected = [] if (mode, value) == ("set", 1.0) else [4, 9]
        assert sorted(control[0].feature for control in found.settings) == expected
    activity[0, [4, 9]] = 0
    assert match(activity[0], np.ones(30), "multiply") == []


def test_features_without_a_decoder_are_no_strangers() -> None:
    norms = np.ones(30)
    norms[5:] = 0
    assert sorted(match(np.zeros(30), norms, n=20)) == [1, 2, 3, 4]


def test_each_stranger_is_used_once() -> None:
    setting = [one(feature=0), one(feature=1)]
    for width, rows in ((8, 3), (7, 2), (4, 1), (3, 0), (2, 0)):
        activity, norms = np.zeros((1, width)), {0: np.ones(width)}
        found = match_controls(setting, [(0,), (0,)], {0: activity}, norms, n=9, seed=0)
        used = [each.feature for control in found.settings for each in control]
        assert len(found.settings) == rows
        assert len(set(used)) == len(used)
        assert set(used) <= set(range(2, width))


def test_turning_one_feature_twice_takes_one_stranger_at_a_time() -> None:
    setting = [one(feature=0), one("multiply", feature=0)]
    found = match_controls(setting, [(0,), (0,)], {0: np.zeros((1, 6))}, {0: np.ones(6)}, n=9, seed=0)
    assert sorted(first.feature for first, _ in found.settings) == [1, 2, 3, 4, 5]
    assert all(first.feature == second.feature for first, second in found.settings)


@pytest.mark.parametrize(("n", "share", "holds"), [(19, 0.9, 0.9), (40, 0.9, 37 / 41), (200, 0.9, 181 / 201)])
def test_the_band_holds_like_draws_as_often_as_it_says(n: int, share: float, holds: float) -> None:
    """Simulated, with values of a long tail; a quantile of 20 would leave out 18% of them."""
    draws = np.random.default_rng(n).lognormal(size=(n + 1, 40_000))
    low, high = band(draws[:n], share)  # type: ignore[misc]
    inside = ((low <= draws[n]) & (draws[n] <= high)).mean()
    assert holds >= share
    assert inside == pytest.approx(holds, abs=0.006)


def test_too_few_controls_make_no_band() -> None:
    assert band(np.empty((0, 2))) is None
    assert band(np.zeros((FEWEST - 1, 2))) is None
    assert band(np.zeros((FEWEST, 2))) is not None
    assert band(np.zeros((8, 2)), 0.75) is not None


def test_empirical_p_counts_controls_either_way() -> None:
    controls = np.array([0.1, -0.5, 0.3, 0.2])
    assert empirical_p(0.3, controls) == pytest.approx(3 / 5)
    assert empirical_p(-0.6, controls) == pytest.approx(1 / 5)
    assert empirical_p(0.0, controls) == 1
    assert np.isnan(empirical_p(1.0, np.empty(0)))


def test_an_active_stranger_lies_inside_as_often_as_it_says(tmp_path: Path, ids: tuple[int, ...]) -> None:
    """Features that are random by construction: each in turn is steered, none of them is special."""
    manifest = make_checkpoint(tmp_path, d_transcoder=1024).manifest()
    engine, layer = SteeringEngine(load_replacement(manifest, BASE)), 1
    active = np.flatnonzero(engine.activations(ids, layer)[-1])
    assert len(active) >= 20
    found = []
    for feature in active:
        setting = [Intervention(layer=layer, feature=int(feature), mode="set", value=4.0)]
        result = engine.next_token(ids, setting)
        assert {engine.activations(ids, layer)[-1, each.feature] > 0 for (each,) in result.controls} == {True}
        found.append(
            empirical_p(result.effect_log_probability[TOKEN], result.control_effect_log_probability[:, TOKEN])
        )
    # Uniform, if every feature is like its controls: a tenth is below 0.1.
    assert np.mean(np.array(found) <= 0.1) <= 0.25
    assert 0.35 <= np.mean(found) <= 0.65


def test_a_long_prompt_keeps_enough_controls_for_a_band(
    tmp_path: Path, ids: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.interventions.engine._CONTROL_TOKENS", 100)  # or the prompt would be long
    manifest = make_checkpoint(tmp_path, d_transcoder=1024).manifest()
    engine = SteeringEngine(load_replacement(manifest, BASE))
    for where, n in (("last", 40), ((8,), 25), ("prompt", FEWEST)):
        setting = [Intervention(layer=1, feature=3, mode="add", value=2.0, where=where)]
        assert len(engine.next_token(ids, setting, controls=40).controls) == n
