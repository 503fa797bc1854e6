"""Activations: encoded as circuit-tracer does, and told before and after steering."""

from typing import Any

import numpy as np
import pytest
import torch

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.models.dictionaries import encoder_of
from tests.support.interventions import active, inactive


def test_activations_are_circuit_tracers_to_the_bit(
    engine: SteeringEngine, replacement: Any, ids: tuple[int, ...]
) -> None:
    _, theirs = replacement.get_activations(torch.tensor(ids))
    for layer in range(3):
        np.testing.assert_array_equal(engine.activations(ids, layer), theirs[layer].numpy())


def test_multiplying_an_inactive_feature_is_told(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    """Trap 16."""
    off = Intervention(layer=1, feature=inactive(engine, ids, 1), mode="multiply", value=5.0)
    on = Intervention(layer=1, feature=active(engine, ids, 1), mode="multiply", value=5.0)
    added = Intervention(layer=1, feature=off.feature, mode="add", value=5.0)
    result = engine.next_token(ids, [off, on])
    assert result.inactive == (off,)
    assert engine.next_token(ids, [added]).inactive == ()
    # One after the other: by the time that it is multiplied it is active.
    assert engine.next_token(ids, [added, off]).inactive == ()


def test_what_fires_at_bos_counts_as_inactive(
    engine: SteeringEngine, replacement: Any, ids: tuple[int, ...]
) -> None:
    """Trap 9: zeroed there by policy, as in graphs and in circuit-tracer's interventions."""
    x = engine._unsteered.baseline(ids).inputs[1]
    with torch.no_grad():
        feature = int(replacement.transcoders[1].encode(x)[0, 0].argmax())
        assert replacement.transcoders[1].encode(x)[0, 0, feature] > 0
    doubled = Intervention(layer=1, feature=feature, mode="multiply", value=9.0, where=(0,))
    result = engine.next_token(ids, [doubled], controls=0)
    assert result.inactive == (doubled,)
    assert not result.effect_logits.any()
    ours = engine.next_token(
        ids, [Intervention(layer=1, feature=feature, mode="set", value=9.0, where=(0,))], controls=0
    )
    theirs, _ = replacement.feature_intervention(
        torch.tensor(ids), [(1, 0, feature, 9.0)], freeze_attention=False
    )
    np.testing.assert_allclose(ours.steered_logits, theirs[0, -1].numpy(), atol=1e-5)
    assert ours.effect_logits.any()


def test_readings_tell_activations_before_and_after(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    feature = active(engine, ids, 1)
    f = engine.activations(ids, 1)[:, feature]
    setting = [
        Intervention(layer=1, feature=feature, mode="add", value=1.0, where=(3, 11)),
        Intervention(layer=1, feature=feature, mode="multiply", value=2.0, where="last"),
    ]
    first, second = engine.next_token(ids, setting, controls=0).readings
    assert first.positions == (3, 11)
    assert first.baseline == first.before == pytest.approx((f[3], f[11]))
    assert first.after == pytest.approx((f[3] + 1, 2 * (f[11] + 1)))
    assert second.positions == (11,)
    assert second.after == pytest.approx((2 * (f[11] + 1),))


def test_a_feature_downstream_of_a_steered_one_reacts(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    """Deltas are taken from the activation of this very pass, not of the baseline."""
    late = active(engine, ids, 2)
    setting = [
        Intervention(layer=0, feature=active(engine, ids, 0), mode="add", value=4.0, where="prompt"),
        Intervention(layer=2, feature=late, mode="multiply", value=1.0, where="prompt"),
    ]
    _, reading = engine.next_token(ids, setting, controls=0).readings
    assert reading.before != pytest.approx(reading.baseline)
    np.testing.assert_allclose(reading.baseline, engine.activations(ids, 2)[1:, late])


@pytest.mark.parametrize("threshold", [None, "scalar"])
def test_encoding_some_features_is_encoding_all(replacement: Any, threshold: str | None) -> None:
    from circuit_tracer.transcoder.activation_functions import JumpReLU, TopK
    from circuit_tracer.transcoder.single_layer_transcoder import SingleLayerTranscoder, TranscoderSet

    own = replacement.transcoders[0]
    functions = [
        own.activation_function,
        torch.nn.functional.relu,
        torch.nn.ReLU(),
        TopK(5),
        JumpReLU(0.3),
    ]
    x = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(0))
    features = torch.tensor([3, 9, 40])
    for function in functions:
        transcoder = SingleLayerTranscoder(32, 64, function, 0, dtype=torch.float32)
        transcoder.load_state_dict(
            {k: v for k, v in own.state_dict().items() if "activation" not in k}, strict=False
        )
        hooks = {"feature_input_hook": "mlp.hook_in", "feature_output_hook": "mlp.hook_out"}
        one = TranscoderSet({0: transcoder}, **hooks, scan="one")
        with torch.no_grad():
            some, every = encoder_of(one, 0, features)(x), transcoder.encode(x)[..., features]
        assert every.any()
        torch.testing.assert_close(some, every)
