"""Steer one loaded model: next-token distributions and sampled continuations.

Interventions act at the MLP *output*: (f' - f) W_dec is added to it, so that what the
transcoder does not explain (the error) stays, and doing nothing changes nothing (trap 3).
Attention, norms and later MLPs answer for real, unless they are frozen.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

import numpy as np

from pipeline.analysis.next_token import FEWEST
from pipeline.interventions.continuations import generate
from pipeline.interventions.controls import Controls, match_controls
from pipeline.interventions.kinds import FREE, KINDS, Frozen, Intervention, Setting, Step
from pipeline.interventions.results import Continuations, Generated, NextToken, Request
from pipeline.interventions.runner import Runner, Seen, pick
from pipeline.interventions.unsteered import Unsteered, read_back
from pipeline.models.dictionaries import layer_count
from pipeline.models.replacement import ReplacementModel
from pipeline.text.tokens import decode_after

CONTROLS: Final = 200
"""Random settings that a setting is compared with, where so many match."""

_CONTROL_TOKENS: Final = 2048
"""Tokens that are read for controls: long prompts, steered early, have fewer of them; at least `FEWEST`."""


class SteeringEngine:
    """Live steering of one variant; safe to share between threads.

    Parameters
    ----------
    replacement
        circuit-tracer's TransformerLens replacement model, with transcoders of either kind.
    lock
        Held during each pass; somebody else who runs the same model shares it.
    """

    def __init__(
        self,
        replacement: ReplacementModel,
        *,
        lock: AbstractContextManager[object, bool | None] | None = None,
    ) -> None:
        self._runner = Runner(replacement, lock)
        self._unsteered = Unsteered(self._runner)

    @property
    def context(self) -> int:
        """The longest sequence that the model takes, in tokens."""
        return self._runner.context

    @property
    def n_layers(self) -> int:
        """Layers of the model."""
        return layer_count(self._runner.transcoders)

    def decode(self, token_ids: Sequence[int], ids: Sequence[int]) -> str:
        """The text that continuation `ids` add to prompt `token_ids`."""
        return decode_after(self._runner.tokenizer, token_ids, ids)

    def activations(self, token_ids: Sequence[int], layer: int) -> np.ndarray:
        """Unsteered activations of a layer, (position, feature) float32; zero at BOS, as stored."""
        self._runner.check(token_ids, ())
        return self._unsteered.activations(token_ids, layer)

    def next_token(
        self,
        token_ids: Sequence[int],
        steps: Sequence[Step],
        *,
        controls: int = CONTROLS,
        seed: int = 0,
        frozen: Frozen = FREE,
    ) -> NextToken:
        """Next-token distribution before and after, with matched random controls.

        Baseline and steered passes are of one shape, so that doing nothing reproduces the
        logits bit for bit; all controls run as one more batch.

        Parameters
        ----------
        token_ids
            The prompt's stored ids, BOS included.
        steps
            Applied in order.
        controls
            How many random settings to compare with; fewer where too few features match, or where
            the prompt is long and steered from its start.
        seed
            Of the controls' choice.
        frozen
            What stays as it is, for the controls, too.

        Raises
        ------
        UserError
            A feature, position or value that the model does not have; a prompt too long.
        """
        setting = tuple(steps)
        self._runner.check(token_ids, setting, frozen)
        baseline = self._unsteered.baseline(token_ids)
        plan = self._runner.plan([setting])
        seen: Seen = {}
        steered = self._runner.run([token_ids], plan, exact=True, seen=seen, frozen=frozen)[0]
        matched = self.match(token_ids, setting, controls, seed)
        readings = tuple(
            read_back(
                one, self._positions(one, len(token_ids)), plan, seen, self.activations(token_ids, one.layer)
            )
            for one in setting
            if isinstance(one, Intervention)
        )
        return NextToken(
            baseline_logits=baseline.logits,
            steered_logits=steered,
            control_logits=self.logits(token_ids, matched.settings, frozen=frozen),
            controls=matched.settings,
            unmoved=matched.unmoved,
            readings=readings,
            inactive=tuple(
                reading.intervention
                for reading in readings
                if KINDS[reading.intervention.mode].scales and not any((*reading.before, *reading.after))
            ),
        )

    def sample(
        self,
        token_ids: Sequence[int],
        steps: Sequence[Step],
        *,
        n: int,
        max_new_tokens: int,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> Iterator[Continuations]:
        """Sample continuations before and after, as `generate` does.

        Yields what there is after every token. Between two of them no hook is in place, so
        the iterator may be abandoned. Raises as `next_token`, at once.
        """
        ids = tuple(token_ids)
        both = [Request(token_ids=ids, setting=setting, seed=seed) for setting in ((), tuple(steps))]
        grown = self.generate(both, n=n, max_new_tokens=max_new_tokens, temperature=temperature)
        return (
            Continuations(before=one.texts[0], after=one.texts[1], step=one.step, done=one.done)
            for one in grown
        )

    def generate(
        self,
        requests: Sequence[Request],
        *,
        n: int,
        max_new_tokens: int,
        temperature: float = 1.0,
        seed: int = 0,
        frozen: Frozen = FREE,
    ) -> Iterator[Generated]:
        """Sample from many prompts under many settings, all in one batch with a key-value cache.

        Only what acts ``generated`` or ``always`` touches generated tokens. Whoever has more requests
        than fit into memory gives them in parts: what a request gets does not depend on the others, but
        for last bits of logits.

        Parameters
        ----------
        requests
            At least one; prompts may be of any length.
        n
            Samples of each.
        max_new_tokens
            Fewer for a prompt behind which the model's context ends.
        temperature
            0 takes the most probable token.
        seed
            Fixes the samples of requests that have no seed of their own; all settings of one prompt use
            the same random numbers.
        frozen
            What stays as it is while prompts and what is forced are read; sampled tokens are read free, as by
            circuit-tracer's ``feature_intervention_generate``.

        Raises
        ------
        UserError
            As `next_token`, at once.
        """
        for request in requests:
            self._check_request(request, frozen)
        return generate(
            self._runner,
            requests,
            n=n,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            frozen=frozen,
        )

    def forced(self, requests: Sequence[Request], *, frozen: Frozen = FREE) -> list[np.ndarray]:
        """Logits after each prompt and after each token that is forced behind it, in one pass.

        Returns
        -------
        list of numpy.ndarray
            Of each request, (1 + forced, token) float32: row i gives the forced token i.

        Raises
        ------
        UserError
            As `next_token`.
        """
        if not requests:
            return []
        for request in requests:
            self._check_request(request, frozen)
        logits = self._runner.run(
            [[*request.token_ids, *request.forced] for request in requests],
            self._runner.plan([request.setting for request in requests]),
            prompt_length=np.array([len(request.token_ids) for request in requests]),
            ends=1 + max(len(request.forced) for request in requests),
            frozen=frozen,
        )
        return [each[-1 - len(request.forced) :] for each, request in zip(logits, requests, strict=True)]

    def match(self, token_ids: Sequence[int], setting: Setting, n: int, seed: int) -> Controls:
        """Settings that do the same to other features; see `match_controls`.

        There are at most `n`, and fewer where the prompt is long and steered from its start.
        """
        self._runner.check(token_ids, setting)
        positions = [self._positions(one, len(token_ids)) for one in setting]
        start = min((place for where in positions for place in where), default=None)
        if start is None:
            return Controls()
        layers = {one.layer for one in setting if isinstance(one, Intervention)}
        return match_controls(
            setting,
            positions,
            {layer: self.activations(token_ids, layer) for layer in layers},
            {layer: self._unsteered.decoder_norm(layer) for layer in layers},
            n=min(n, max(FEWEST, _CONTROL_TOKENS // (len(token_ids) - start))),
            seed=seed,
        )

    def logits(
        self, token_ids: Sequence[int], settings: Sequence[Setting], *, frozen: Frozen = FREE
    ) -> np.ndarray:
        """(setting, token) float32 logits at the prompt's last position, all settings in one batch.

        What comes before the first steered token, and before the first steered layer, is read once, where
        nothing is frozen. A batch may differ in last bits from `next_token`, which runs one row.
        """
        if not settings:
            return np.empty((0, self._runner.vocabulary), np.float32)
        for setting in settings:
            self._runner.check(token_ids, setting, frozen)
        length, plan = len(token_ids), self._runner.plan(settings)
        if frozen != FREE:
            rows = [token_ids] * len(settings)
            return self._runner.run(rows, plan, ends=1, frozen=frozen)[:, -1]
        # Of many settings, most act at the same places.
        distinct = {one.where: one for setting in settings for one in setting}.values()
        steered = {place for one in distinct for place in self._positions(one, length)}
        start = min(steered, default=length - 1)
        layer = min((one.layer for setting in settings for one in setting), default=0)
        cache = None
        if start:
            cache = self._runner.empty_cache(1)
            self._runner.run([token_ids[:start]], {}, cache=cache)
            pick(cache, [0] * len(settings))
        return self._runner.run(
            [token_ids[start:]] * len(settings),
            plan,
            offset=start,
            prompt_length=length,
            cache=cache,
            ends=1,
            residual=self._unsteered.baseline(token_ids).residuals[layer][:, start:],
            start_layer=layer,
        )[:, -1]

    def _check_request(self, request: Request, frozen: Frozen) -> None:
        self._runner.check(request.token_ids, request.setting, frozen, len(request.forced))

    def _positions(self, one: Step, prompt_length: int) -> tuple[int, ...]:
        mask = one.mask(np.arange(prompt_length), prompt_length, self._runner.zeroed)
        return tuple(np.flatnonzero(mask).tolist())
