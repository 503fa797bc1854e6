"""Means of resampled situations, measured in their own standard errors."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

SAME: Final = 1e-12
"""Below it, in units of the largest deviation, a resampled mean or error is rounding."""

# Draws of some features at a time, which stay in the processor's cache: 0.5 MB.
_CACHED: Final = 1 << 16


def studentized_draws(total: np.ndarray, squares: np.ndarray, n: int, places: Sequence[int]) -> np.ndarray:
    """Draws' means over their own standard errors, at these places of their ascending order.

    Parameters
    ----------
    total, squares
        (draw, feature) float64: sums of n values that were drawn, and of their squares. Values are deviations
        from the mean, of which the largest is 1.
    n
        Two or more.
    places
        From 0; see `numpy.partition`.

    Returns
    -------
    numpy.ndarray
        (place, feature) float64. A draw of equal values has no error: infinitely far, unless it did not move.
    """
    found = np.empty((len(places), total.shape[1]))
    step = _CACHED // max(1, len(total)) + 1
    for start in range(0, total.shape[1], step):
        few = slice(start, start + step)
        shift = np.ascontiguousarray(total[:, few].T) / n
        variance = np.ascontiguousarray(squares[:, few].T) / n - shift**2
        error = np.sqrt(np.maximum(variance, 0.0) / (n - 1))
        shift[np.abs(shift) < SAME] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            shift /= np.where(error < math.sqrt(SAME), 0.0, error)  # the variance was rounded
        shift[np.isnan(shift)] = 0.0
        shift.partition(places, axis=1)
        found[:, few] = shift[:, places].T
    return found
