"""Forward passes with interventions in place: hooks live for one pass, also if it fails."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from circuit_tracer.transcoder import TranscoderSet
from transformer_lens import TransformerLensKeyValueCache
from transformer_lens.hook_points import HookPoint

from pipeline.interventions.compile import LayerPlan, make_plan
from pipeline.interventions.kinds import Setting
from pipeline.models.replacement import ReplacementModel
from store.base.errors import UserError

LayerPlans = dict[int, LayerPlan]
Hook = Callable[[torch.Tensor, HookPoint], torch.Tensor | None]
"""Sees a tensor where it is hooked, and may give another in its place."""


class Runner:
    """Runs one replacement model, one pass at a time, for any number of threads.

    Parameters
    ----------
    replacement
        The model.
    lock
        Held during a pass; somebody else who runs the same model shares it. Where the model is set to
        other variants meanwhile, entering the lock sets it back.

    Attributes
    ----------
    transcoders
        Per-layer transcoders.
    zeroed
        The first so many positions have their activations zeroed by policy (BOS).
    context
        The longest sequence, in tokens.
    vocabulary
        How many tokens there are.

    Raises
    ------
    UserError
        The transcoders are cross-layer ones.
    """

    def __init__(
        self, replacement: ReplacementModel, lock: AbstractContextManager[object, bool | None] | None = None
    ) -> None:
        if not isinstance(replacement.transcoders, TranscoderSet):
            raise UserError("Steering needs per-layer transcoders; these are cross-layer ones.")
        self._model, self._variant = replacement, replacement.variant
        self._lock = lock or threading.Lock()
        self.transcoders = replacement.transcoders
        self.tokenizer = replacement.tokenizer
        self.zeroed: int = replacement.zero_positions.stop
        self.context: int = replacement.cfg.n_ctx
        self.vocabulary: int = replacement.cfg.d_vocab

    @property
    def input_hook(self) -> str:
        """Where in a block its transcoder reads."""
        hook: str = self._model.feature_input_hook
        return hook

    def _require_own_weights(self) -> None:
        if self._model.variant != self._variant:
            raise RuntimeError(
                f"The model has the weights of {self._model.variant} now, and this is of {self._variant}: "
                "variants of one pool share a model. Take turns with a lock that sets the variant, as "
                "pipeline.live.LivePool does."
            )

    def plan(self, settings: Sequence[Setting]) -> LayerPlans:
        """Compile one setting a row."""
        with torch.no_grad():
            return make_plan(self.transcoders, settings)

    def empty_cache(self, batch_size: int) -> TransformerLensKeyValueCache:
        """A key-value cache that holds nothing yet."""
        cfg = self._model.cfg
        cache: TransformerLensKeyValueCache = TransformerLensKeyValueCache.init_cache(
            cfg, cfg.device, batch_size=batch_size
        )
        return cache

    def run(
        self,
        rows: Sequence[Sequence[int]],
        plan: LayerPlans,
        *,
        offset: int = 0,
        prompt_length: int | None = None,
        cache: TransformerLensKeyValueCache | None = None,
        exact: bool = False,
        last_only: bool = False,
        seen: dict[int, tuple[torch.Tensor, torch.Tensor]] | None = None,
        read: Mapping[str, list[torch.Tensor]] | None = None,
        residual: torch.Tensor | None = None,
        start_layer: int = 0,
    ) -> np.ndarray:
        """Run token ids of one length a row.

        Parameters
        ----------
        rows
            (row, position) token ids.
        plan
            From `plan`, with as many rows.
        offset
            Absolute position of the first id given: the length of what `cache` holds.
        prompt_length
            Where the prompt ends; the whole row where it is None.
        exact
            Encode as circuit-tracer does, to the last bit; see `LayerPlan.deltas`.
        last_only
            Unembed the last position alone, which for many rows and a large vocabulary
            saves gigabytes, but may change last bits.
        seen
            Takes (position, feature) activations before and after of row 0, by layer.
        read
            By hook of a block, takes the (row, position, d_model) tensors there, one a layer.
        residual
            The (1, position, d_model) residual stream of every row before `start_layer`, where no row
            differs before it: earlier layers are not run. None: all are.

        Returns
        -------
        numpy.ndarray
            (row, token) float32 logits at the last position, after any softcap.

        Raises
        ------
        RuntimeError
            Somebody has given the model another variant's weights.
        """
        model, cfg = self._model, self._model.cfg
        tokens = torch.tensor([list(row) for row in rows], device=cfg.device)
        positions = offset + torch.arange(tokens.shape[1], device=cfg.device)
        length = tokens.shape[1] if prompt_length is None else prompt_length
        hooks: list[tuple[str, Hook]] = [
            (f"blocks.{layer}.{name}", _copying(held))
            for name, held in (read or {}).items()
            for layer in range(len(self.transcoders))
        ]
        for layer, layer_plan in plan.items():
            if layer_plan.acts_at(positions, length, self.zeroed):
                hooks += self._hooks(layer, layer_plan, positions, length, exact, seen)
        given: torch.Tensor = tokens
        # Explicit, or TransformerLens would guess from the ids which of them are padding.
        run: dict[str, Any] = {
            "past_kv_cache": cache,
            "attention_mask": None if cache is None else torch.ones_like(tokens),
        }
        if residual is not None:
            given = residual.expand(len(rows), -1, -1)
            run |= {"start_at_layer": start_layer, "attention_mask": None}  # None: nothing is padding
        with self._lock, torch.inference_mode(), model.hooks([*hooks]):
            self._require_own_weights()
            if last_only:
                end = model(given, stop_at_layer=cfg.n_layers, **run)[:, -1:]
                logits = model.unembed(model.ln_final(end))
                cap = cfg.output_logits_soft_cap
                logits = cap * torch.tanh(logits / cap) if cap > 0 else logits
            else:
                logits = model(given, **run)
            last: np.ndarray = logits[:, -1].float().cpu().numpy()
        return last

    def _hooks(
        self,
        layer: int,
        plan: LayerPlan,
        positions: torch.Tensor,
        prompt_length: int,
        exact: bool,
        seen: dict[int, tuple[torch.Tensor, torch.Tensor]] | None,
    ) -> list[tuple[str, Hook]]:
        """Read the transcoder's input, add the difference to the MLP's output."""
        model = self._model
        held: list[torch.Tensor] = []

        def read(x: torch.Tensor, hook: HookPoint) -> None:
            held.append(x)

        def write(output: torch.Tensor, hook: HookPoint) -> torch.Tensor:
            delta, before, after = plan.deltas(
                held.pop(),
                positions=positions,
                prompt_length=prompt_length,
                zeroed=self.zeroed,
                exact=exact,
            )
            if seen is not None:
                seen[layer] = before[0], after[0]
            return output + delta.to(output.dtype)

        return [
            (f"blocks.{layer}.{model.feature_input_hook}", read),
            (f"blocks.{layer}.{model.feature_output_hook}", write),
        ]


def _copying(held: list[torch.Tensor]) -> Hook:
    def copy(x: torch.Tensor, hook: HookPoint) -> None:
        held.append(x.clone())

    return copy


def repeat(cache: TransformerLensKeyValueCache, n: int) -> None:
    """Give each of the cache's rows n copies."""
    with torch.inference_mode():
        for entry in cache.entries:
            entry.past_keys = entry.past_keys.repeat_interleave(n, dim=0)
            entry.past_values = entry.past_values.repeat_interleave(n, dim=0)
        cache.previous_attention_mask = cache.previous_attention_mask.repeat_interleave(n, dim=0)
