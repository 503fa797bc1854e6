"""Every kind in every mode, on every architecture, against circuit-tracer's own interventions."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
import torch

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import FREE, KINDS, Frozen, Intervention, Vector
from pipeline.models.replacement import ReplacementModel
from pipeline.organism.tokenizer import train_tokenizer
from store.base.errors import UserError
from tests.support.builders import CONTEXT, TEXTS
from tests.support.interventions import active, count_hooks
from tests.support.replacements import WIDTH, make_replacement, random_ids

SUBJECTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "llama": ("llama", {}),
    "llama, skip": ("llama", {"skip": True}),
    "qwen3": ("qwen3", {}),
    "gemma3, scope 2": ("gemma3", {"hooks": ("mlp.hook_in", "hook_mlp_out"), "skip": True}),
    "gemma2, scope": ("gemma2", {"hooks": ("ln2.hook_normalized", "hook_mlp_out")}),
}
MODES: Final[dict[str, tuple[Frozen, dict[str, Any]]]] = {
    "free": (FREE, {"freeze_attention": False}),
    "attention": (Frozen(attention=True), {"freeze_attention": True}),
    "pre-activations": (
        Frozen(attention=True),
        {"freeze_attention": True, "apply_activation_function": False},
    ),
    "some layers": (Frozen(attention=True, mlps=(1, 2)), {"constrained_layers": range(1, 3)}),
    "direct": (Frozen(attention=True, norms=True, mlps=(0, 1, 2)), {"constrained_layers": range(3)}),
}
VALUES: Final[dict[str, Callable[[float], float]]] = {
    "set": lambda _: 2.5,
    "add": lambda f: f + 2.5,
    "multiply": lambda f: f * 2.5,
    "ablate": lambda _: 0.0,
    "inhibit": lambda f: f * -2.5,
    "mean": lambda _: 2.5,
    "resample": lambda _: 2.5,
    "patch": lambda _: 2.5,
}
LAYER: Final = 1


@pytest.fixture(scope="module", params=list(SUBJECTS))
def random(request: pytest.FixtureRequest) -> tuple[ReplacementModel, tuple[int, ...]]:
    tokenizer = train_tokenizer(TEXTS, vocabulary=320, context=CONTEXT)
    architecture, settings = SUBJECTS[request.param]
    return make_replacement(tokenizer, architecture, **settings), tuple(
        random_ids(tokenizer, 12, seed=4).tolist()
    )


@pytest.mark.parametrize("mode", list(MODES))
def test_first_token_logits_are_circuit_tracers(
    random: tuple[ReplacementModel, tuple[int, ...]], mode: str
) -> None:
    model, ids = random
    engine = SteeringEngine(model)
    frozen, theirs = MODES[mode]
    feature, places = active(engine, ids, LAYER), (3, 7, 11)
    f = engine.activations(ids, LAYER)[:, feature]
    plain = engine.next_token(ids, [], controls=0).baseline_logits
    settings = []
    for kind in KINDS:
        value = 2.5 if KINDS[kind].valued else 0.0
        settings.append((Intervention(layer=LAYER, feature=feature, mode=kind, value=value, where=places),))
    together = engine.logits(ids, settings, frozen=frozen)
    for setting, of_batch in zip(settings, together, strict=True):
        expected, _ = model.feature_intervention(
            torch.tensor(ids),
            [(LAYER, place, feature, VALUES[setting[0].mode](f[place])) for place in places],
            **theirs,
        )
        alone = engine.next_token(ids, setting, controls=0, frozen=frozen).steered_logits
        np.testing.assert_allclose(alone, expected[0, -1].numpy(), atol=1e-4)
        np.testing.assert_allclose(of_batch, alone, atol=1e-5)
        assert np.abs(alone - plain).max() > 1e-3, setting


def test_modes_differ_and_a_no_op_changes_no_bit(
    random: tuple[ReplacementModel, tuple[int, ...]],
) -> None:
    model, ids = random
    engine, before = SteeringEngine(model), count_hooks(model)
    feature = active(engine, ids, LAYER)
    one = Intervention(layer=LAYER, feature=feature, mode="add", value=3.0, where="prompt")
    nothing = [
        Intervention(
            layer=layer, feature=active(engine, ids, layer), mode="multiply", value=1.0, where="prompt"
        )
        for layer in range(3)
    ]
    nothing.append(Intervention(layer=2, feature=3, mode="add", value=0.0, where="always"))
    modes = [frozen for frozen, _ in MODES.values()] + [Frozen(norms=True), Frozen(mlps=(2,))]
    found = []
    for frozen in modes:
        found.append(engine.next_token(ids, [one], controls=0, frozen=frozen).steered_logits)
        still = engine.next_token(ids, nothing, controls=0, frozen=frozen)
        np.testing.assert_array_equal(still.steered_logits, still.baseline_logits)
    assert modes[1] == modes[2]
    for first in range(len(found)):
        for second in range(first):
            assert (first, second) == (2, 1) or np.abs(found[first] - found[second]).max() > 1e-4
    assert count_hooks(model) == before


@pytest.mark.parametrize("site", ["mlp", "residual"])
def test_a_vector_is_added_where_it_says(random: tuple[ReplacementModel, tuple[int, ...]], site: Any) -> None:
    """Against a hook of TransformerLens; along a decoder row it is what adding to the feature is."""
    model, ids = random
    engine = SteeringEngine(model)
    direction = torch.randn(WIDTH, generator=torch.Generator().manual_seed(1))
    values, where = (2.0, -1.0), (9, 4)
    vector = Vector(layer=LAYER, direction=tuple(direction.tolist()), value=values, where=where, site=site)

    def add(output: torch.Tensor, hook: Any) -> torch.Tensor:
        output = output.clone()
        for value, place in zip(values, where, strict=True):
            output[:, place] += value * direction
        return output

    name = model.feature_output_hook if site == "mlp" else "hook_resid_post"
    with model.hooks([(f"blocks.{LAYER}.{name}", add)]), torch.inference_mode():
        expected = model(torch.tensor([ids]))[0, -1].numpy()
    result = engine.next_token(ids, [vector], controls=3)
    np.testing.assert_allclose(result.steered_logits, expected, atol=1e-5)
    assert np.abs(result.effect_logits).max() > 1e-3
    assert result.readings == ()
    for (control,) in result.controls:
        assert isinstance(control, Vector)
        assert np.linalg.norm(control.direction) == pytest.approx(float(direction.norm()), rel=1e-5)
        assert (control.value, control.where, control.site) == (values, where, site)
    assert len({each[0] for each in result.controls}) == 3
    if site == "mlp":
        row = tuple(model.transcoders[LAYER].W_dec[5].tolist())
        along = Vector(layer=LAYER, direction=row, value=1.5, where="prompt")
        added = Intervention(layer=LAYER, feature=5, mode="add", value=1.5, where="prompt")
        both = engine.logits(ids, [(along,), (added,)])
        np.testing.assert_allclose(both[0], both[1], atol=1e-5)


def test_a_layer_that_is_not_there_cannot_be_frozen(engine: SteeringEngine, ids: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="There is no layer 3 to freeze; there are 0 to 2"):
        engine.logits(ids, [()], frozen=Frozen(mlps=(3,)))
