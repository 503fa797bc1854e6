"""What the steering workbench asks of loaded variants beside the steered one: values, samples, doses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.analysis.next_token import FEWEST, log_softmax
from pipeline.interventions.borrowed import patch
from pipeline.interventions.changes import frozen_parts
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import KINDS, Frozen, Intervention, Setting, Where
from pipeline.interventions.results import Request
from pipeline.live.pool import LiveSubject
from store.base.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Continuations sampled so far, of three sides that share their random numbers.

    Attributes
    ----------
    before, after
        Token ids of each sample of the variant that is steered, behind what is forced.
    other
        Of the variant beside it, unsteered; empty where there is none, or not yet.
    step
        Tokens drawn so far, of those that are being drawn.
    steered, done
        Whether both first sides are complete; whether all are.
    """

    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    other: tuple[tuple[int, ...], ...] = ()
    step: int
    steered: bool
    done: bool


def sample_sides(
    subject: LiveSubject,
    beside: LiveSubject | None,
    token_ids: Sequence[int],
    setting: Setting,
    *,
    n: int,
    max_new_tokens: int,
    temperature: float,
    forced: tuple[int, ...],
    frozen: Frozen,
) -> Iterator[Sides]:
    """Continuations before and after steering, token by token, then those of another variant.

    Parameters
    ----------
    subject, beside
        The variant that is steered, and the other one; None: none is shown beside it.
    token_ids, setting, frozen
        As for `SteeringEngine.next_token`.
    n, max_new_tokens, temperature, forced
        As for `SteeringEngine.generate`, the same for all sides.

    Raises
    ------
    UserError
        As `SteeringEngine.next_token`, at once.
    """
    ids = tuple(token_ids)
    requests = [Request(token_ids=ids, setting=each, forced=forced, seed=0) for each in ((), setting)]
    grown = subject.engine.generate(
        requests, n=n, max_new_tokens=max_new_tokens, temperature=temperature, frozen=frozen
    )

    def sides() -> Iterator[Sides]:
        sides = Sides(before=(), after=(), step=0, steered=False, done=False)
        for one in grown:
            before, after = one.texts
            sides = Sides(
                before=before,
                after=after,
                step=one.step,
                steered=one.done,
                done=one.done and beside is None,
            )
            yield sides
        if beside is None:
            return
        for one in beside.engine.generate(
            requests[:1], n=n, max_new_tokens=max_new_tokens, temperature=temperature
        ):
            yield replace(sides, other=one.texts[0], step=one.step, done=one.done)

    return sides()


def frozen_by_name(subject: LiveSubject, name: str) -> Frozen:
    """What stays as it is under one of the names of `store.schema.vocabulary.FROZEN`."""
    return frozen_parts(name, subject.n_layers)


def borrowed(
    beside: LiveSubject, token_ids: Sequence[int], feature: tuple[int, int], where: Where
) -> Intervention:
    """A feature at the activations that it has in another variant, at places of the prompt.

    Raises
    ------
    UserError
        The places are behind the prompt, where another variant has read nothing.
    """
    layer, index = feature
    if where in ("generated", "always"):
        raise UserError(
            f"L{layer}/{index}: what it is in another variant is known at the prompt's tokens alone; choose "
            "the last token, a range, positions or all tokens."
        )
    n = len(token_ids)
    mask = Intervention(layer=layer, feature=index, mode="set", value=0.0, where=where).mask(
        np.arange(n), n, beside.zeroed
    )
    activity = {layer: beside.engine.activations(token_ids, layer)}
    (one,) = patch([feature], activity, np.flatnonzero(mask).tolist())
    assert isinstance(one, Intervention)
    return one


def at_strength(setting: Setting, strength: float) -> Setting:
    """A setting of features of which so much is done: f + strength (f' - f) in the place of f'.

    0 does nothing, 1 is the setting, 2 goes as far again. Of gain and shift of each step, the gain becomes
    1 + strength (gain - 1), and strength times the shift is added.

    Raises
    ------
    UserError
        One feature is changed by two steps: what the second does then depends on the first.
    """
    features = [(one.layer, one.feature) for one in setting if isinstance(one, Intervention)]
    if len(set(features)) < len(setting):
        raise UserError("A dose needs each step to change a feature of its own; change each feature once.")
    found: list[Intervention] = []
    for one in setting:
        assert isinstance(one, Intervention)
        affine = [KINDS[one.mode].affine(value) for value in one.values]
        gains = tuple(1 + strength * (gain - 1) for gain, _ in affine)
        shifts = tuple(strength * shift for _, shift in affine)
        single = not isinstance(one.value, tuple)
        found += [
            replace(one, mode="multiply", value=gains[0] if single else gains),
            replace(one, mode="add", value=shifts[0] if single else shifts),
        ]
    return tuple(found)


def dose_response(
    engine: SteeringEngine,
    token_ids: Sequence[int],
    setting: Setting,
    strengths: Sequence[float],
    frozen: Frozen,
) -> tuple[np.ndarray, np.ndarray]:
    """Next-token probabilities under a setting at several strengths, and under matched controls.

    Returns
    -------
    tuple
        (strength, token) and (strength, control, token) float32 probabilities; `FEWEST` controls, or fewer
        where fewer match.

    Raises
    ------
    UserError
        As `at_strength` and `SteeringEngine.next_token`.
    """
    controls = engine.match(token_ids, setting, FEWEST, 0).settings
    rows = [at_strength(each, strength) for strength in strengths for each in (setting, *controls)]
    logits = engine.logits(token_ids, rows, frozen=frozen)
    probability = np.exp(log_softmax(logits)).reshape(len(strengths), 1 + len(controls), -1)
    return probability[:, 0], probability[:, 1:]
