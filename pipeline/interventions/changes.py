"""What settings do to a prompt's next token: changes of logits, of the distribution's mass, and ranks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import FREE, Frozen, Setting
from pipeline.interventions.measured import batches, rounding
from store.schema.vocabulary import ATTENTION, EVERYTHING, MLPS, NORMS, NOTHING


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What settings do, intervened minus not; 0 where it is within rounding.

    Attributes
    ----------
    logits
        (setting, token) float32, of the tokens asked for.
    mass
        (setting,) float64, of the log of the sum of all exponentials.
    rank
        (setting, token) int32, place of the tokens in the distribution, from 1.
    rounding
        The largest change that is no more than that.
    """

    logits: np.ndarray
    mass: np.ndarray
    rank: np.ndarray
    rounding: float


def frozen_parts(name: str, n_layers: int) -> Frozen:
    """What stays as it is under one of the names of `store.schema.vocabulary.FROZEN`."""
    layers = tuple(range(n_layers))
    return {
        NOTHING: FREE,
        NORMS: Frozen(norms=True),
        ATTENTION: Frozen(attention=True),
        MLPS: Frozen(mlps=layers),
        EVERYTHING: Frozen(attention=True, norms=True, mlps=layers),
    }[name]


def changes(
    engine: SteeringEngine,
    token_ids: Sequence[int],
    settings: Sequence[Setting],
    tokens: Sequence[int],
    frozen: Frozen = FREE,
) -> Changes:
    """What settings do to a prompt's next token."""
    before = engine.logits(token_ids, [()], frozen=frozen)[0]
    mass = logsumexp(before.astype(np.float64))
    found = Changes(
        logits=np.zeros((len(settings), len(tokens)), np.float32),
        mass=np.zeros(len(settings)),
        rank=np.repeat(ranks(before[None], tokens), len(settings), axis=0),
        rounding=rounding(before),
    )
    for rows in batches(token_ids, settings):
        after = engine.logits(token_ids, [settings[row] for row in rows], frozen=frozen)
        found.logits[rows] = (after - before)[:, list(tokens)]
        found.mass[rows] = logsumexp(after.astype(np.float64), axis=1) - mass
        found.rank[rows] = ranks(after, tokens)
    for each in (found.logits, found.mass):
        each[np.abs(each) <= found.rounding] = 0.0
    return found


def ranks(logits: np.ndarray, tokens: Sequence[int]) -> np.ndarray:
    """Places of tokens in distributions (row, vocabulary), from 1: (row, token) int32."""
    columns = [(logits > logits[:, [token]]).sum(axis=1) + 1 for token in tokens]
    return np.array(columns, np.int32).reshape(len(tokens), len(logits)).T
