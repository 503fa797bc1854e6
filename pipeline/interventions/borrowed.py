"""Numbers that a setting takes from another pass: of another prompt, of another variant, of many.

Activations come from `SteeringEngine.activations`, (position, feature) by layer; those of a variant are
read while the pool has that variant.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pipeline.interventions.kinds import Intervention, Mode, Setting
from store.base.errors import UserError

Activity = Mapping[int, np.ndarray]
"""By layer: (position, feature) activations of a prompt."""


def patch(
    features: Sequence[tuple[int, int]],
    source: Activity,
    where: Sequence[int],
    at: Sequence[int] | None = None,
) -> Setting:
    """Each feature has, at positions `where`, the activation that another pass has.

    Parameters
    ----------
    features
        (layer, index) of each.
    source
        Of the other pass.
    where
        Positions of the prompt that is changed.
    at
        Positions of the other prompt, in the same order; the same ones where it is None.

    Raises
    ------
    UserError
        Not as many positions on both sides, one that the other prompt does not have, or such a feature.
    """
    places = where if at is None else at
    if len(places) != len(where):
        raise UserError(f"{len(where)} positions take values from {len(places)}; give one for each.")
    return _each("patch", features, where, lambda layer, index: _read(source, layer, index, places))


def mean(
    features: Sequence[tuple[int, int]], sources: Sequence[Activity], where: Sequence[int], *, zeroed: int = 1
) -> Setting:
    """Each feature has its mean over all positions of other prompts but the first `zeroed` (trap 9).

    Raises
    ------
    UserError
        The prompts have no position behind those.
    """

    def average(layer: int, index: int) -> tuple[float, ...]:
        seen = np.concatenate(
            [_of(source, layer, index)[zeroed:, index] for source in sources] or [np.empty(0)]
        )
        if not len(seen):
            raise UserError("There is no token to take a mean over; give prompts of more than BOS.")
        return (float(seen.mean(dtype=np.float64)),) * len(where)

    return _each("mean", features, where, average)


def resample(
    features: Sequence[tuple[int, int]],
    sources: Sequence[Activity],
    where: Sequence[int],
    *,
    seed: int,
    zeroed: int = 1,
) -> Setting:
    """All features have, at each position, the activations that they have together at a place drawn.

    The place is one of all positions of other prompts but the first `zeroed` (trap 9), with replacement.

    Raises
    ------
    UserError
        The prompts have no position behind those.
    """
    indices = dict(features)
    if not sources:
        raise UserError("There is no prompt to draw activations from.")
    pools = {
        layer: np.concatenate([_of(source, layer, index)[zeroed:] for source in sources])
        for layer, index in indices.items()
    }
    n = min((len(pool) for pool in pools.values()), default=0)
    if not n:
        raise UserError("There is no token to draw activations from; give prompts of more than BOS.")
    drawn = np.random.default_rng(seed).integers(n, size=len(where)).tolist()
    return _each("resample", features, where, lambda layer, index: _read(pools, layer, index, drawn))


def _of(source: Activity, layer: int, index: int) -> np.ndarray:
    """A layer's activations, which have that feature."""
    if layer not in source:
        raise UserError(f"Layer {layer} is not among the activations of the other prompt: {sorted(source)}.")
    if not 0 <= index < source[layer].shape[1]:
        raise UserError(f"Layer {layer} has features 0 to {source[layer].shape[1] - 1}, and no {index}.")
    return source[layer]


def _each(
    mode: Mode,
    features: Sequence[tuple[int, int]],
    where: Sequence[int],
    values: Callable[[int, int], tuple[float, ...]],
) -> Setting:
    return tuple(
        Intervention(layer=layer, feature=index, mode=mode, value=values(layer, index), where=tuple(where))
        for layer, index in features
    )


def _read(source: Activity, layer: int, index: int, places: Sequence[int]) -> tuple[float, ...]:
    activity = _of(source, layer, index)
    if not all(0 <= place < len(activity) for place in places):
        raise UserError(
            f"Positions {list(places)} are not all within 0 to {len(activity) - 1} of the other prompt."
        )
    return tuple(activity[list(places), index].tolist())
