"""Steer one loaded model: next-token distributions and sampled continuations.

Interventions act at the MLP *output*: (f' - f) W_dec is added to it, so that what the
transcoder does not explain (the error) stays, and doing nothing changes nothing (trap 3).
Attention is not frozen, and later MLPs answer for real.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from pipeline.analysis.next_token import FEWEST
from pipeline.interventions.continuations import sample
from pipeline.interventions.controls import Controls, match_controls
from pipeline.interventions.kinds import Intervention, Setting, check
from pipeline.interventions.results import Continuations, NextToken, Reading
from pipeline.interventions.runner import LayerPlans, Runner, repeat
from pipeline.models.replacement import ReplacementModel
from pipeline.models.transcoders import dictionary_size
from pipeline.text.tokens import decode_after
from store.base.errors import UserError

CONTROLS: Final = 200
"""Random settings that a setting is compared with, where so many match."""

_RESIDUAL: Final = "hook_resid_pre"  # of a block
_BASELINES: Final = 8
_CONTROL_TOKENS: Final = 2048
"""Tokens that are read for controls: long prompts, steered early, have fewer of them; at least `FEWEST`."""


@dataclass(frozen=True)
class _Baseline:
    """An unsteered pass: logits (token,) at the end; of each layer (1, position, d_model) tensors.

    `residuals` is the residual stream before it, `inputs` what its transcoder reads.
    """

    logits: np.ndarray
    residuals: list[torch.Tensor]
    inputs: list[torch.Tensor]


class SteeringEngine:
    """Live steering of one variant; safe to share between threads.

    Parameters
    ----------
    replacement
        circuit-tracer's TransformerLens replacement model with per-layer transcoders.
    lock
        Held during each pass; somebody else who runs the same model shares it.

    Raises
    ------
    UserError
        The transcoders are cross-layer ones.
    """

    def __init__(
        self,
        replacement: ReplacementModel,
        *,
        lock: AbstractContextManager[object, bool | None] | None = None,
    ) -> None:
        self._runner = Runner(replacement, lock)
        self._lock = threading.Lock()
        self._baselines: OrderedDict[tuple[int, ...], _Baseline] = OrderedDict()
        self._norms: dict[int, np.ndarray] = {}

    @property
    def context(self) -> int:
        """The longest sequence that the model takes, in tokens."""
        return self._runner.context

    def decode(self, token_ids: Sequence[int], ids: Sequence[int]) -> str:
        """The text that continuation `ids` add to prompt `token_ids`."""
        return decode_after(self._runner.tokenizer, token_ids, ids)

    def activations(self, token_ids: Sequence[int], layer: int) -> np.ndarray:
        """Unsteered activations of a layer, (position, feature) float32; zero at BOS, as stored."""
        self._check(token_ids, ())
        x = self._baseline(token_ids).inputs[layer]
        with torch.inference_mode():
            encoded = self._runner.transcoders[layer].encode(x)[0]
            encoded[: self._runner.zeroed] = 0
            activations: np.ndarray = encoded.float().cpu().numpy()
        return activations

    def next_token(
        self,
        token_ids: Sequence[int],
        interventions: Sequence[Intervention],
        *,
        controls: int = CONTROLS,
        seed: int = 0,
    ) -> NextToken:
        """Next-token distribution before and after, with matched random controls.

        Baseline and steered passes are of one shape, so that doing nothing reproduces the
        logits bit for bit; all controls run as one more batch.

        Parameters
        ----------
        token_ids
            The prompt's stored ids, BOS included.
        interventions
            Applied in order.
        controls
            How many random settings to compare with; fewer where too few features match, or where
            the prompt is long and steered from its start.
        seed
            Of the controls' choice.

        Raises
        ------
        UserError
            A feature, position or value that the model does not have; a prompt too long.
        """
        setting = self._check(token_ids, interventions)
        baseline = self._baseline(token_ids)
        plan = self._runner.plan([setting])
        seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        steered = self._runner.run([token_ids], plan, exact=True, seen=seen)[0]
        matched = self.match(token_ids, setting, controls, seed)
        readings = tuple(self._readings(token_ids, setting, plan, seen))
        return NextToken(
            baseline_logits=baseline.logits,
            steered_logits=steered,
            control_logits=self.logits(token_ids, matched.settings),
            controls=matched.settings,
            unmoved=matched.unmoved,
            readings=readings,
            inactive=tuple(
                reading.intervention
                for reading in readings
                if reading.intervention.mode == "multiply" and not any((*reading.before, *reading.after))
            ),
        )

    def sample(
        self,
        token_ids: Sequence[int],
        interventions: Sequence[Intervention],
        *,
        n: int,
        max_new_tokens: int,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> Iterator[Continuations]:
        """Sample continuations before and after, in one batch with a key-value cache.

        Yields what there is after every token. Between two of them no hook is in place, so
        the iterator may be abandoned. Interventions keep to the prompt's own positions;
        only those that act ``always`` touch generated tokens.

        Parameters
        ----------
        n
            Samples on either side.
        max_new_tokens
            Fewer where the model's context ends.
        temperature
            0 takes the most probable token.
        seed
            Fixes the samples; both sides use the same random numbers.

        Raises
        ------
        UserError
            As `next_token`, at once.
        """
        return sample(
            self._runner,
            token_ids,
            self._check(token_ids, interventions),
            n=n,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
        )

    def match(self, token_ids: Sequence[int], setting: Setting, n: int, seed: int) -> Controls:
        """Settings that do the same to other features; see `match_controls`.

        There are at most `n`, and fewer where the prompt is long and steered from its start.
        """
        self._check(token_ids, setting)
        positions = [self._positions(one, len(token_ids)) for one in setting]
        start = min((place for where in positions for place in where), default=None)
        if start is None:
            return Controls()
        layers = {one.layer for one in setting}
        return match_controls(
            setting,
            positions,
            {layer: self.activations(token_ids, layer) for layer in layers},
            {layer: self._decoder_norms(layer) for layer in layers},
            n=min(n, max(FEWEST, _CONTROL_TOKENS // (len(token_ids) - start))),
            seed=seed,
        )

    def logits(self, token_ids: Sequence[int], settings: Sequence[Setting]) -> np.ndarray:
        """(setting, token) float32 logits at the prompt's last position, all settings in one batch.

        What comes before the first steered token, and before the first steered layer, is read once. A
        batch may differ in last bits from `next_token`, which runs one row.
        """
        if not settings:
            return np.empty((0, self._runner.vocabulary), np.float32)
        for setting in settings:
            self._check(token_ids, setting)
        length, plan = len(token_ids), self._runner.plan(settings)
        # Of many settings, most act at the same places.
        distinct = {one.where: one for setting in settings for one in setting}.values()
        steered = {place for one in distinct for place in self._positions(one, length)}
        start = min(steered, default=length - 1)
        layer = min((one.layer for setting in settings for one in setting), default=0)
        cache = None
        if start:
            cache = self._runner.empty_cache(1)
            self._runner.run([token_ids[:start]], {}, cache=cache)
            repeat(cache, len(settings))
        return self._runner.run(
            [token_ids[start:]] * len(settings),
            plan,
            offset=start,
            prompt_length=length,
            cache=cache,
            last_only=True,
            residual=self._baseline(token_ids).residuals[layer][:, start:],
            start_layer=layer,
        )

    def _check(self, token_ids: Sequence[int], interventions: Sequence[Intervention]) -> Setting:
        if not 0 < len(token_ids) <= self.context:
            raise UserError(
                f"The prompt is {len(token_ids)} tokens long; the model takes 1 to {self.context}."
            )
        check(
            interventions,
            n_layers=len(self._runner.transcoders),
            d_transcoder=dictionary_size(self._runner.transcoders),
            prompt_length=len(token_ids),
        )
        return tuple(interventions)

    def _baseline(self, token_ids: Sequence[int]) -> _Baseline:
        key = tuple(token_ids)
        with self._lock:
            if key not in self._baselines:
                read: dict[str, list[torch.Tensor]] = {_RESIDUAL: [], self._runner.input_hook: []}
                logits = self._runner.run([token_ids], {}, read=read)[0]
                self._baselines[key] = _Baseline(logits, *read.values())
                if len(self._baselines) > _BASELINES:
                    self._baselines.popitem(last=False)
            self._baselines.move_to_end(key)
            return self._baselines[key]

    def _decoder_norms(self, layer: int) -> np.ndarray:
        if layer not in self._norms:
            decoder = self._runner.transcoders._get_decoder_vectors(layer, slice(None))
            self._norms[layer] = decoder.float().norm(dim=-1).detach().cpu().numpy()
        return self._norms[layer]

    def _positions(self, one: Intervention, prompt_length: int) -> tuple[int, ...]:
        mask = one.mask(torch.arange(prompt_length), prompt_length, self._runner.zeroed)
        return tuple(mask.nonzero().flatten().tolist())

    def _readings(
        self,
        token_ids: Sequence[int],
        setting: Setting,
        plan: LayerPlans,
        seen: dict[int, tuple[torch.Tensor, torch.Tensor]],
    ) -> Iterator[Reading]:
        for one in setting:
            positions = list(self._positions(one, len(token_ids)))
            column = plan[one.layer].features.index(one.feature)
            # A layer where nothing acts (a prompt of BOS alone, say) was not hooked.
            sides = seen[one.layer] if positions else ()
            before, after = [side[positions, column].tolist() for side in sides] or ([], [])
            baseline = self.activations(token_ids, one.layer)[positions, one.feature]
            yield Reading(
                intervention=one,
                positions=tuple(positions),
                baseline=tuple(baseline.tolist()),
                before=tuple(before),
                after=tuple(after),
            )
