"""Forward passes with interventions in place: hooks live for one pass, also if it fails."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from transformer_lens import TransformerLensKeyValueCache

from pipeline.interventions.compile import LayerPlan, Placed, make_plan
from pipeline.interventions.freezing import Hook, Still, hooked
from pipeline.interventions.kinds import FREE, Frozen, Setting, Step, check
from pipeline.models.dictionaries import dictionary_size, layer_count
from pipeline.models.replacement import ReplacementModel
from store.base.errors import UserError

LayerPlans = dict[int, LayerPlan]
Seen = dict[int, tuple[torch.Tensor, torch.Tensor]]
"""By layer, (position, feature of its plan) activations before and after."""
Carried = dict[tuple[int, int], torch.Tensor]
"""What features of a layer add to the MLP output of a later one, by both layers, until it is added."""
_PADDING: Final = 0
"""A token id that is not attended to: any would do."""


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
        Of either kind.
    zeroed
        The first so many positions have their activations zeroed by policy (BOS).
    context
        The longest sequence, in tokens.
    vocabulary
        How many tokens there are.
    stops
        Tokens that end a text.
    """

    def __init__(
        self, replacement: ReplacementModel, lock: AbstractContextManager[object, bool | None] | None = None
    ) -> None:
        self._model, self._variant = replacement, replacement.variant
        self._lock = lock or threading.Lock()
        self.transcoders = replacement.transcoders
        self.tokenizer = replacement.tokenizer
        self.zeroed: int = replacement.zero_positions.stop
        self.context: int = replacement.cfg.n_ctx
        self.vocabulary: int = replacement.cfg.d_vocab
        self.stops = replacement.stops

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

    def check(
        self, token_ids: Sequence[int], steps: Sequence[Step], frozen: Frozen = FREE, forced: int = 0
    ) -> None:
        """Refuse what the model does not have, for a prompt with so many tokens forced behind it.

        Raises
        ------
        UserError
            As `pipeline.interventions.kinds.check`; a prompt too long, a layer to freeze that is not there.
        """
        n_layers, length = layer_count(self.transcoders), len(token_ids) + forced
        if not token_ids or length > self.context:
            raise UserError(f"The prompt is {length} tokens long; the model takes 1 to {self.context}.")
        for layer in frozen.mlps:
            if not 0 <= layer < n_layers:
                raise UserError(f"There is no layer {layer} to freeze; there are 0 to {n_layers - 1}.")
        check(
            steps,
            n_layers=n_layers,
            d_transcoder=dictionary_size(self.transcoders),
            d_model=self._model.cfg.d_model,
            prompt_length=len(token_ids),
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
        offset: int | np.ndarray = 0,
        prompt_length: int | np.ndarray | None = None,
        cache: TransformerLensKeyValueCache | None = None,
        exact: bool = False,
        ends: int | None = None,
        seen: Seen | None = None,
        read: Mapping[str, list[torch.Tensor]] | None = None,
        residual: torch.Tensor | None = None,
        start_layer: int = 0,
        frozen: Frozen = FREE,
    ) -> np.ndarray:
        """Run token ids of any length a row; shorter rows are padded in front, which changes nothing.

        Parameters
        ----------
        rows
            (row, position) token ids.
        plan
            From `plan`, with as many rows.
        offset
            Absolute position of the first id given, of all rows or (row,): how many of it `cache` holds.
        prompt_length
            Where the prompt ends, of all rows or (row,); the whole row where it is None.
        exact
            Encode as circuit-tracer does, to the last bit; see `LayerPlan.deltas`.
        ends
            Unembed and give so many last positions, which for many rows and a large vocabulary
            saves gigabytes, but may change last bits. None: unembed all, and give the last.
        seen
            Takes (position, feature) activations before and after of row 0, by layer.
        read
            By hook of a block, takes the (row, position, d_model) tensors there, one a layer.
        residual
            The (1, position, d_model) residual stream of every row before `start_layer`, where no row
            differs before it: earlier layers are not run. None: all are.
        frozen
            What stays as it is without the plan, which takes a pass of its own, over all that comes
            before: `cache` holds nothing yet.

        Returns
        -------
        numpy.ndarray
            (row, token) float32 logits at the last position, after any softcap; (row, end, token) with
            `ends`.

        Raises
        ------
        RuntimeError
            Somebody has given the model another variant's weights.
        """
        model, device = self._model, self._model.cfg.device
        lengths = np.array([len(row) for row in rows])
        width = int(lengths.max())
        pads = width - lengths
        ids = [[_PADDING] * pad + [*row] for pad, row in zip(pads.tolist(), rows, strict=True)]
        positions = np.arange(width) + (np.asarray(offset) - pads)[:, None]
        prompts = np.broadcast_to(lengths if prompt_length is None else prompt_length, len(rows))
        tokens = torch.tensor(ids, device=device)
        # Explicit, or TransformerLens would guess from the ids which of them are padding. With a cache it
        # does so unless it begins behind the embedding; a mask of ones would cost each token a sixth more.
        run: dict[str, Any] = {"attention_mask": None}
        if residual is not None:
            run["start_at_layer"] = start_layer
        elif pads.any() or (cache is not None and cache.previous_attention_mask.shape[1]):
            run["attention_mask"] = torch.from_numpy((positions >= 0).astype(np.int64)).to(device)
        elif cache is not None:
            run["start_at_layer"] = 0
        hooks: list[tuple[str, Hook]] = [
            (f"blocks.{layer}.{name}", _copying(held))
            for name, held in (read or {}).items()
            for layer in range(layer_count(self.transcoders))
        ]
        with self._lock, torch.inference_mode():
            self._require_own_weights()
            given = tokens
            if "start_at_layer" in run:
                at_start = model.hook_embed(model.embed(tokens)) if residual is None else residual
                given = at_start.expand(len(rows), -1, -1)
            still = Still(model, frozen)
            if frozen != FREE:
                with hooked(model, still.reading()):
                    self._logits(given, ends, run)
            hooks += still.holding()
            carried: Carried = {}
            for layer, layer_plan in sorted(plan.items()):
                placed = layer_plan.placed(positions, prompts, self.zeroed)
                hooks += self._hooks(layer, layer_plan, placed, exact, seen, still, carried)
            with hooked(model, hooks):
                logits = self._logits(given, ends, run | {"past_kv_cache": cache})
            found: np.ndarray = logits.float().cpu().numpy()
        return found[:, -1] if ends is None else found

    def _logits(self, given: torch.Tensor, ends: int | None, run: Mapping[str, Any]) -> torch.Tensor:
        """(row, end, token); the last position alone where all are unembedded."""
        model, cfg = self._model, self._model.cfg
        if ends is None:
            logits: torch.Tensor = model(given, **run)
            return logits[:, -1:]
        residual = model(given, stop_at_layer=cfg.n_layers, **run)[:, -ends:]
        logits = model.unembed(model.ln_final(residual))
        cap = cfg.output_logits_soft_cap
        return cap * torch.tanh(logits / cap) if cap > 0 else logits

    def _hooks(
        self,
        layer: int,
        plan: LayerPlan,
        placed: Placed,
        exact: bool,
        seen: Seen | None,
        still: Still,
        carried: Carried,
    ) -> list[tuple[str, Hook]]:
        """Read the transcoder's input, add the difference to the MLP's output; add vectors.

        What features add in later layers waits in `carried`, and is added there.
        """
        model, hooks = self._model, list[tuple[str, Hook]]()
        held: list[torch.Tensor] = []

        def write(output: torch.Tensor) -> torch.Tensor:
            x = still.inputs[layer] if layer in still.inputs else held.pop()
            delta, before, after = plan.deltas(x, placed, exact=exact)
            if seen is not None:
                seen[layer] = before[0], after[0]
            carried.update({(layer, later): more for later, more in plan.carried(before, after).items()})
            return output + delta.to(output.dtype)

        if placed.gains is not None:
            for later in plan.later:
                name = f"blocks.{later}.{model.feature_output_hook}"
                hooks.append((name, partial(_add_carried, carried, (layer, later))))
            hooks.append((f"blocks.{layer}.{model.feature_input_hook}", held.append))
            hooks.append((f"blocks.{layer}.{model.feature_output_hook}", write))
        for site in placed.weights:
            name = model.feature_output_hook if site == "mlp" else "hook_resid_post"
            hooks.append((f"blocks.{layer}.{name}", _adding(plan.vector(site, placed))))
        return hooks


def _add_carried(carried: Carried, at: tuple[int, int], output: torch.Tensor) -> torch.Tensor:
    return output + carried.pop(at).to(output.dtype)


def _copying(held: list[torch.Tensor]) -> Hook:
    def copy(x: torch.Tensor) -> None:
        held.append(x.clone())

    return copy


def _adding(vector: torch.Tensor) -> Hook:
    def add(output: torch.Tensor) -> torch.Tensor:
        return output + vector.to(output.dtype)

    return add


def pick(cache: TransformerLensKeyValueCache, rows: Sequence[int] | np.ndarray) -> None:
    """Let the cache hold these of its rows, in this order; some more than once, or not at all."""
    with torch.inference_mode():
        index = torch.as_tensor(rows, device=cache.previous_attention_mask.device)
        for entry in cache.entries:
            entry.past_keys = entry.past_keys[index]
            entry.past_values = entry.past_values[index]
        cache.previous_attention_mask = cache.previous_attention_mask[index]
