"""Next-token steering against circuit-tracer, against Hugging Face, and against nothing."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from pipeline.interventions.compile import LayerPlan
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.models.loading import load_causal_lm, load_replacement
from store.base.errors import UserError
from tests.support.builders import make_checkpoint
from tests.support.interventions import BASE, active, count_hooks, inactive, uncached

WHERES = ["last", (0,), (3, 5), "prompt", "always"]


def positions_of(where: Any, length: int) -> list[int]:
    return {
        "last": [length - 1],
        "prompt": list(range(1, length)),
        "generated": [],
        "always": list(range(1, length)),
    }.get(where, list(where))


@pytest.mark.parametrize("where", WHERES)
def test_setting_is_circuit_tracers_intervention(
    engine: SteeringEngine, replacement: Any, ids: tuple[int, ...], where: Any
) -> None:
    """feature_intervention with attention and MLPs left to react."""
    chosen = [(0, active(engine, ids, 0), 3.0), (0, 7, -1.5), (2, active(engine, ids, 2), 0.0)]
    ours = engine.next_token(
        ids,
        [Intervention(layer=layer, feature=f, mode="set", value=v, where=where) for layer, f, v in chosen],
        controls=0,
    )
    theirs, _ = replacement.feature_intervention(
        torch.tensor(ids),
        [(layer, p, f, v) for layer, f, v in chosen for p in positions_of(where, len(ids))],
        constrained_layers=None,
        freeze_attention=False,
    )
    np.testing.assert_allclose(ours.steered_logits, theirs[0, -1].numpy(), atol=1e-5)
    assert np.abs(ours.effect_logits).max() > 0.01


@pytest.mark.parametrize("mode", ["set", "add", "multiply"])
@pytest.mark.parametrize("where", WHERES)
def test_the_difference_joins_the_mlp_output_and_the_error_stays(
    engine: SteeringEngine, manifest: Any, ids: tuple[int, ...], mode: Any, where: Any
) -> None:
    """Trap 3, on another code path: a hook on Hugging Face's own MLP."""
    layer, value = 1, 2.5
    positions = positions_of(where, len(ids))
    feature = active(engine, ids, layer, positions[-1])
    model = load_causal_lm(manifest, BASE)
    transcoder = SteeringEngine(load_replacement(manifest, BASE))._runner.transcoders[layer]

    def steer(module: Any, args: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        pre = args[0] @ transcoder.W_enc[feature] + transcoder.b_enc[feature]
        f = torch.where(pre > transcoder.activation_function.threshold[feature], pre, 0)
        f[:, 0] = 0  # the policy at BOS
        new = {"set": torch.full_like(f, value), "add": f + value, "multiply": f * value}[mode]
        keep = torch.zeros_like(f)
        keep[:, positions] = 1
        return output + ((new - f) * keep)[..., None] * transcoder.W_dec[feature]

    handle = model.model.layers[layer].mlp.register_forward_hook(steer)
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0, -1].numpy()
    handle.remove()
    ours = engine.next_token(
        ids,
        [Intervention(layer=layer, feature=feature, mode=mode, value=value, where=where)],
        controls=0,
    )
    np.testing.assert_allclose(ours.steered_logits, expected, atol=2e-5)


@pytest.mark.parametrize("where", WHERES)
def test_doing_nothing_changes_no_bit(
    engine: SteeringEngine, replacement: Any, ids: tuple[int, ...], where: Any
) -> None:
    """Also a set to the current value, where that is one value."""
    with torch.inference_mode():
        plain = replacement(torch.tensor([ids]))[0, -1].numpy()
    setting = []
    for layer in range(3):
        feature, other = active(engine, ids, layer), inactive(engine, ids, layer)
        setting += [
            Intervention(layer=layer, feature=feature, mode="multiply", value=1.0, where=where),
            Intervention(layer=layer, feature=feature, mode="add", value=0.0, where=where),
            Intervention(layer=layer, feature=other, mode="set", value=0.0, where=where),
            Intervention(layer=layer, feature=other, mode="multiply", value=9.0, where=where),
        ]
        if where == "last":
            now = float(engine.activations(ids, layer)[-1, feature])
            assert now > 0
            setting.append(Intervention(layer=layer, feature=feature, mode="set", value=now))
    result = engine.next_token(ids, setting, controls=0)
    np.testing.assert_array_equal(result.baseline_logits, plain)
    np.testing.assert_array_equal(result.steered_logits, plain)
    assert not result.effect_logits.any()


def test_no_interventions_is_the_baseline(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    result = engine.next_token(ids, [])
    np.testing.assert_array_equal(result.steered_logits, result.baseline_logits)
    assert result.controls == ()
    assert result.control_logits.shape == (0, len(result.baseline_logits))


def test_effects_are_intervened_minus_baseline(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    one = Intervention(layer=2, feature=active(engine, ids, 2), mode="add", value=3.0)
    result = engine.next_token(ids, [one], controls=6)
    np.testing.assert_array_equal(result.effect_logits, result.steered_logits - result.baseline_logits)
    wide = log_softmax(result.steered_logits.astype(np.float64)) - log_softmax(
        result.baseline_logits.astype(np.float64)
    )
    np.testing.assert_allclose(result.effect_log_probability, wide, atol=1e-5)
    assert result.baseline_probability.sum() == pytest.approx(1, abs=1e-5)
    assert result.control_effect_log_probability.shape == (6, len(wide))


def test_log_probabilities_of_a_bfloat16_model_are_float32(manifest: Any, ids: tuple[int, ...]) -> None:
    """Trap 18: in bfloat16 they would come in steps of 1/8."""
    engine = SteeringEngine(load_replacement(manifest, BASE, dtype=torch.bfloat16))
    one = Intervention(layer=2, feature=active(engine, ids, 2), mode="add", value=3.0)
    result = engine.next_token(ids, [one], controls=2)
    assert result.steered_logits.dtype == np.float32
    log_probabilities = np.log(result.steered_probability)
    assert len(np.unique(log_probabilities * 8 % 1)) > 50
    np.testing.assert_allclose(
        log_probabilities, log_softmax(result.steered_logits.astype(np.float64)), atol=1e-5
    )


@pytest.mark.parametrize("architecture", ["gemma2", "qwen3"])
def test_other_architectures(tmp_path: Path, ids: tuple[int, ...], architecture: str) -> None:
    """Gemma 2 has soft caps and norms after the MLP; controls go through them, too."""
    manifest = make_checkpoint(tmp_path, architecture=architecture).manifest()
    replacement = load_replacement(manifest, BASE)
    engine = SteeringEngine(replacement)
    feature = active(engine, ids, 1)
    one = Intervention(layer=1, feature=feature, mode="set", value=6.0, where="prompt")
    ours = engine.next_token(ids, [one], controls=4)
    theirs, _ = replacement.feature_intervention(
        torch.tensor(ids), [(1, slice(1, None), feature, 6.0)], freeze_attention=False
    )
    np.testing.assert_allclose(ours.steered_logits, theirs[0, -1].numpy(), atol=1e-5)
    for row, control in zip(ours.control_logits, ours.controls, strict=True):
        np.testing.assert_allclose(row, uncached(engine, ids, control), atol=1e-5)


def test_no_hook_is_left(
    engine: SteeringEngine, replacement: Any, ids: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 22, also where a pass fails."""
    one = Intervention(layer=1, feature=active(engine, ids, 1), mode="add", value=1.0, where="always")
    before = count_hooks(replacement)
    engine.next_token(ids, [one])
    assert count_hooks(replacement) == before
    samples = engine.sample(ids, [one], n=2, max_new_tokens=4)
    next(samples)
    assert count_hooks(replacement) == before
    samples.close()

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(LayerPlan, "deltas", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            engine.next_token(ids, [one])
    assert count_hooks(replacement) == before
    # And the engine still works.
    assert engine.next_token(ids, [one]).effect_logits.any()


def test_threads_share_an_engine(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    feature = active(engine, ids, 1)
    settings = [[Intervention(layer=1, feature=feature, mode="add", value=float(v))] for v in range(12)]
    alone = [engine.next_token(ids, setting).steered_logits for setting in settings]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda setting: engine.next_token(ids, setting), settings))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other.steered_logits)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"layer": 3}, "no layer 3; the model has layers 0 to 2"),
        ({"layer": -1}, "no layer -1"),
        ({"feature": 64}, "no feature L1/64; a layer has features 0 to 63"),
        ({"feature": -1}, "no feature L1/-1"),
        ({"mode": "double"}, "mode 'double'"),
        ({"value": float("nan")}, "finite"),
        ({"value": float("inf")}, "finite"),
        ({"where": "everywhere"}, "'everywhere'"),
        ({"where": (12,)}, r"positions \[12\] are not all within 0 to 11"),
        ({"where": ()}, "positions"),
    ],
)
def test_what_the_model_does_not_have_is_refused(
    engine: SteeringEngine, ids: tuple[int, ...], changes: dict[str, Any], says: str
) -> None:
    one = Intervention(**({"layer": 1, "feature": 3, "mode": "add", "value": 1.0} | changes))
    with pytest.raises(UserError, match=says):
        engine.next_token(ids, [one])
    with pytest.raises(UserError, match=says):
        engine.sample(ids, [one], n=1, max_new_tokens=1)


@pytest.mark.parametrize("length", [0, 65])
def test_a_prompt_that_does_not_fit_is_refused(engine: SteeringEngine, length: int) -> None:
    with pytest.raises(UserError, match=f"{length} tokens long; the model takes 1 to 64"):
        engine.next_token([5] * length, [])


@pytest.mark.slow
def test_a_sliders_release_costs_little(tmp_path: Path) -> None:
    """At the organism's size: baseline, steered and all controls in 150 ms of processor time."""
    checkpoint = make_checkpoint(tmp_path, n_layers=4, d_model=128, d_transcoder=1024)
    engine = SteeringEngine(load_replacement(checkpoint.manifest(), BASE))
    ids = (1, *range(10, 34))
    times = []
    for number in range(1, 21):
        setting = [
            Intervention(layer=layer, feature=5, mode="add", value=number / 10, where="prompt")
            for layer in (1, 2)
        ]
        start = time.process_time()
        assert len(engine.next_token(ids, setting).controls) >= 20
        times.append(time.process_time() - start)
    assert np.median(times) < 0.15
