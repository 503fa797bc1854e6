"""The base model, features to steer, a pass without a cache and circuit-tracer to check it against."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention, Step
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


class _Given:
    """A tokenizer that gives the ids that are wanted, whatever the text."""

    pad_token_id = bos_token_id = eos_token_id = 0
    padding_side = "right"

    def __init__(self, ids: Sequence[int]) -> None:
        self.input_ids = list(ids)

    def __call__(self, text: str) -> "_Given":
        return self

    def decode(self, tokens: Any, **_: Any) -> str:
        return ""


def generated_by_circuit_tracer(
    model: ReplacementModel,
    ids: Sequence[int],
    setting: Sequence[Intervention],
    n: int,
    *,
    freeze_attention: bool = False,
    activations: bool = True,
) -> np.ndarray:
    """Logits (step, token) of its greedy generation with features set at all tokens but BOS.

    It reads a text alone, so the tokenizer is told what it says. It gives `activations` by default.
    """
    tokenizer = model.tokenizer
    try:
        model.tokenizer = _Given(ids)  # type: ignore[assignment]
        model.to_tokens = lambda *_, **__: torch.tensor([list(ids)])  # type: ignore[method-assign]
        _, logits, _ = model.feature_intervention_generate(
            "",
            [(one.layer, slice(1, None), one.feature, one.value) for one in setting],
            freeze_attention=freeze_attention,
            return_activations=activations,
            max_new_tokens=n,
            do_sample=False,
            stop_at_eos=False,
            verbose=False,
        )
    finally:
        model.tokenizer = tokenizer
        del model.to_tokens
    found: np.ndarray = logits.numpy()
    return found
