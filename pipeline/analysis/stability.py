"""How firm an order of features is: how many of its first ones stay first when situations are drawn anew."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

FIRST: Final = 20
"""So many of the first are looked at."""

RESAMPLES: Final = 200


def kept_share(
    values: Callable[[np.ndarray], np.ndarray],
    n_situations: int,
    features: np.ndarray,
    rng: np.random.Generator,
    *,
    first: int = FIRST,
    step: int = 1 << 14,
) -> float:
    """Mean share of the first features, by mean effect toward harm, that are first again.

    Situations are drawn with replacement, as many as there are; of each draw the first features by mean
    effect are held against those of all situations.

    Parameters
    ----------
    values
        ``columns -> (situation, column)`` effects.
    n_situations
        Rows of `values`.
    features
        (n,) columns that are ordered.
    rng
        Of the resamples.
    first
        How many are the first.
    step
        Columns at a time.

    Returns
    -------
    float
        0 to 1. NaN: fewer than two situations, or no more features than are first.
    """
    if n_situations < 2 or len(features) <= first:
        return float("nan")
    counts = rng.multinomial(n_situations, np.full(n_situations, 1 / n_situations), size=RESAMPLES)
    weights = np.vstack([np.ones(n_situations), counts]) / n_situations
    best = np.full((len(weights), 0), -np.inf)
    names = np.zeros((len(weights), 0), np.int64)
    for start in range(0, len(features), step):
        block = features[start : start + step]
        best = np.hstack([best, weights @ values(block)])
        names = np.hstack([names, np.broadcast_to(block, (len(weights), len(block)))])
        best, names = _largest(best, names, first)
    return float(np.mean([_shared(names[0], row) for row in names[1:]]) / first)


def sign_consistency(values: np.ndarray) -> np.ndarray:
    """Share of the situations with an effect whose sign is that of the mean; (feature,), NaN where none has.

    Parameters
    ----------
    values
        (situation, feature).

    >>> sign_consistency(np.array([[2.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]))
    array([0.66666667,        nan])
    """
    acting = (values != 0).sum(axis=0)
    alike = (np.sign(values) == np.sign(values.mean(axis=0))) & (values != 0)
    return np.divide(alike.sum(axis=0), acting, out=np.full(values.shape[1], np.nan), where=acting > 0)


def _largest(best: np.ndarray, names: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    if best.shape[1] <= first:
        return best, names
    kept = np.argpartition(-best, first - 1, axis=1)[:, :first]
    return np.take_along_axis(best, kept, 1), np.take_along_axis(names, kept, 1)


def _shared(one: Sequence[int] | np.ndarray, other: Sequence[int] | np.ndarray) -> int:
    return len(np.intersect1d(one, other, assume_unique=True))
