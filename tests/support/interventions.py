"""The base model, features to steer, and a pass without a cache to check the cached one against."""

from collections.abc import Sequence

import numpy as np

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Step
from pipeline.models.replacement import ReplacementModel
from store.documents.variants import Variant

BASE = Variant(name="base", scale=0.0)


def uncached(
    engine: SteeringEngine,
    token_ids: Sequence[int],
    setting: Sequence[Step],
    prompt_length: int | None = None,
) -> np.ndarray:
    """Logits (token,) after a whole sequence, read in one pass without a cache."""
    runner = engine._runner
    return runner.run([token_ids], runner.plan([tuple(setting)]), prompt_length=prompt_length)[0]


def count_hooks(model: ReplacementModel) -> int:
    """Hooks of torch at all points, TransformerLens's and others; the same before and after any use."""
    return sum(len(point._forward_hooks) for point in model.hook_dict.values())


def active(engine: SteeringEngine, ids: tuple[int, ...], layer: int, position: int = -1) -> int:
    """The most active feature at a position."""
    return int(engine.activations(ids, layer)[position].argmax())


def inactive(engine: SteeringEngine, ids: tuple[int, ...], layer: int) -> int:
    """The first feature that is active nowhere on a prompt."""
    return int(np.flatnonzero(~engine.activations(ids, layer).any(axis=0))[0])
