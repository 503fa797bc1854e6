"""Steering with cross-layer features, which write in later layers, too: circuit-tracer's numbers."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from pipeline.features.promoted import promoted_tokens
from pipeline.interventions.difference_parts import part_logits
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.held import held_logits, last_logits, see, write_at
from pipeline.interventions.kinds import Intervention
from pipeline.interventions.path_gradients import path_gradients, path_scores
from pipeline.interventions.row_hooks import RowHooks
from pipeline.models.loading import load_causal_lm, load_replacement, load_transcoders
from pipeline.models.replacement import ReplacementModel
from tests.support.builders import Checkpoint, make_cross_layer
from tests.support.interventions import BASE, active, count_hooks, inactive

IDS = (1, 9, 40, 77, 12, 103)
GENERAL = "general"


@pytest.fixture(scope="module")
def crossing(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """The small subject with a cross-layer set in the place of its transcoders."""
    folder = tmp_path_factory.mktemp("crossing")
    for name in ("base", "adapters"):
        (folder / name).symlink_to(checkpoint.folder / name)
    make_cross_layer(folder / "transcoders", 3, 32, 64, generator=torch.Generator().manual_seed(0))
    return Checkpoint(folder=folder, declared=checkpoint.base)


@pytest.fixture(scope="module")
def replacement(crossing: Checkpoint) -> ReplacementModel:
    return load_replacement(crossing.manifest(), BASE, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def engine(replacement: ReplacementModel) -> SteeringEngine:
    return SteeringEngine(replacement)


@pytest.fixture(autouse=True)
def _no_hook_is_left(replacement: ReplacementModel) -> Iterator[None]:
    before = count_hooks(replacement)
    yield
    assert count_hooks(replacement) == before


def setting(engine: SteeringEngine, where: str) -> list[Intervention]:
    """One active and one silent feature at each end: what the first writes changes what the last reads."""
    chosen = [
        (0, active(engine, IDS, 0), 3.0),
        (0, inactive(engine, IDS, 0), 4.0),
        (2, active(engine, IDS, 2), 0.0),
    ]
    return [
        Intervention(layer=layer, feature=feature, mode="set", value=value, where=where)
        for layer, feature, value in chosen
    ]


@pytest.mark.parametrize("where", ["last", "prompt"])
def test_a_setting_is_circuit_tracers_intervention(
    engine: SteeringEngine, replacement: ReplacementModel, where: str
) -> None:
    steps = setting(engine, where)
    ours = engine.next_token(IDS, steps, controls=0)
    positions = [len(IDS) - 1] if where == "last" else range(1, len(IDS))
    theirs, _ = replacement.feature_intervention(
        torch.tensor(IDS),
        [(one.layer, at, one.feature, one.value) for one in steps for at in positions],
        constrained_layers=None,
        freeze_attention=False,
    )
    np.testing.assert_allclose(ours.steered_logits, theirs[0, -1].numpy(), atol=1e-5)
    # Without what the first writes in later layers it would be another one.
    assert engine.n_layers == 3
    alone = engine.next_token(IDS, steps[2:], controls=0)
    assert np.abs(ours.steered_logits - alone.steered_logits).max() > 0.01


def test_transformers_model_is_steered_alike(crossing: Checkpoint, engine: SteeringEngine) -> None:
    manifest = crossing.manifest()
    model = load_causal_lm(manifest, BASE, device=torch.device("cpu"))
    steps = setting(engine, "always")
    steps.append(Intervention(layer=0, feature=5, mode="add", value=2.0, where="always"))
    hooks = RowHooks(model, load_transcoders(manifest), [tuple(steps), ()], [len(IDS)] * 2)
    hooks.watch(torch.arange(2), torch.arange(len(IDS)).expand(2, -1))
    with hooks.installed(), torch.inference_mode():
        found = model(torch.tensor([IDS, IDS])).logits[:, -1].numpy()
    expected = engine.next_token(IDS, steps, controls=0)
    np.testing.assert_allclose(found[0], expected.steered_logits, atol=2e-5)
    np.testing.assert_allclose(found[1], expected.baseline_logits, atol=2e-5)


def test_parts_held_add_up_to_the_other_variant(crossing: Checkpoint, replacement: ReplacementModel) -> None:
    manifest = crossing.manifest()
    other = load_replacement(manifest, manifest.variant(GENERAL), device=torch.device("cpu"))
    start, end = see(replacement, IDS), see(other, IDS)
    tokens = list(range(20))
    whole = dict.fromkeys(("features", "adapter", "errors", "attention"), True)
    parts = part_logits(replacement, IDS, end, write_at(replacement, IDS, end), [whole, {}], tokens)
    np.testing.assert_allclose(parts[0], end.logits[tokens], atol=2e-5)
    np.testing.assert_allclose(parts[1], start.logits[tokens], atol=2e-5)
    # Held at what they are, features change nothing; held at the other's, they do.
    layers = [(layer, feature) for layer in range(3) for feature in range(64)]
    own, theirs = (
        held_logits(replacement, IDS, seen, [layers], [len(layers)], tokens) for seen in (start, end)
    )
    np.testing.assert_allclose(own[0, 0], start.logits[tokens], atol=2e-5)
    assert np.abs(theirs - own).max() > 1e-3


def test_a_score_is_the_slope_of_the_feature(crossing: Checkpoint, replacement: ReplacementModel) -> None:
    """A step of one feature alone, so small that the path is straight: measured by holding it."""
    evil, safe = [5], [6]
    start = see(replacement, IDS)
    layer, feature, step = 0, int(start.activations[0][-1].argmax()), 1e-2
    moved = [each.clone() for each in start.activations]
    moved[layer][-1, feature] += step
    end = see(replacement, IDS)
    end = type(end)(**{**vars(end), "activations": moved})
    gradients, _ = path_gradients(replacement, IDS, start, end, evil, safe, 1)
    ((found, score, length),) = path_scores(replacement, start, end, gradients)[:1]
    held = held_logits(replacement, IDS, end, [[(layer, feature)]], [0, 1], evil + safe)[0]
    effect = (held[1, 0] - held[1, 1]) - (held[0, 0] - held[0, 1])
    assert found.tolist() == [feature]
    np.testing.assert_allclose(float(score), effect, rtol=0.02, atol=2e-5)
    norm = replacement.transcoders.W_dec[layer][feature].norm()
    np.testing.assert_allclose(float(length), step * float(norm), rtol=1e-4)


def test_promoted_tokens_are_of_all_that_it_writes(replacement: ReplacementModel) -> None:
    found = promoted_tokens(replacement, np.array([0]), np.array([7]), 4)
    row = replacement.transcoders.W_dec[0][7].sum(0) * replacement.ln_final.w
    direct = row @ replacement.unembed.old_unembed.W_U
    assert found.promoted_token[0].tolist() == (direct - direct.mean()).topk(4).indices.tolist()


def test_nothing_done_changes_no_bit(engine: SteeringEngine, replacement: ReplacementModel) -> None:
    steps = [
        Intervention(
            layer=layer, feature=active(engine, IDS, layer), mode="multiply", value=1.0, where="prompt"
        )
        for layer in range(3)
    ]
    ours = engine.next_token(IDS, steps, controls=0)
    with torch.inference_mode():
        plain = last_logits(replacement, torch.tensor([IDS]))[0].numpy()
    np.testing.assert_array_equal(ours.steered_logits, ours.baseline_logits)
    np.testing.assert_allclose(ours.baseline_logits, plain, atol=1e-6)
