"""Draws of a permutation test that end for features which cannot be found any more, whatever is drawn yet."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np

# Rounds are of so many draws, or several times as many: random bits are made some at a time.
_WHOLE: Final = 64
# Of features without effect hardly one goes on when so many times the rate of all draws are made.
_FIRST: Final = 1.2
# Relative slack of the bar, so that rounding ends nobody.
_ROUNDING: Final = 1e-9


def count_draws(
    as_extreme: Callable[[np.ndarray, int, int], np.ndarray],
    known: np.ndarray,
    draws: int,
    *,
    rate: float | None,
    most: int,
) -> tuple[np.ndarray, np.ndarray]:
    """How many draws are at least as extreme as what was observed, of how many, by feature.

    With a `rate` draws are made in rounds. After each, a feature's p-value is at least what it is if no
    draw that is left were as extreme. Benjamini and Hochberg (1995) would find no fewer features with
    these least p-values than in the end, so that none whose least one is above their bar for these is
    found in the end: it ends there. What it gets of the draws so far, (1 + count) / (1 + drawn), is no
    less than its least, so that the same features are found, with the same p and q, as by all draws.

    Parameters
    ----------
    as_extreme
        ``columns, start, stop -> (column,)`` counts among these draws. Called with rising draws.
    known
        (feature,) float64 p-values of those that need no draws; NaN: it needs them.
    draws
        So many at most.
    rate
        The false discovery rate at which Benjamini and Hochberg's procedure looks for features among
        these; None: all are drawn to the end.
    most
        Draws of a round at most.

    Returns
    -------
    count, drawn
        (feature,) int64; 0 of those that need no draws.
    """
    count, drawn = np.zeros((2, len(known)), np.int64)
    going = np.flatnonzero(np.isnan(known))
    start, most = 0, max(_WHOLE, most // _WHOLE * _WHOLE)
    while start < draws and len(going):
        aim = draws if rate is None else max(_FIRST * rate * draws, 2 * start)
        stop = min(draws, start + most, math.ceil(aim / _WHOLE) * _WHOLE)
        count[going] += as_extreme(going, start, stop)
        drawn[going] = stop
        start = stop
        if rate is not None:
            least = np.where(np.isnan(known), (1 + count) / (1 + draws), known)
            going = going[least[going] <= _bar(least, rate)]
    return count, drawn


def _bar(p: np.ndarray, rate: float) -> float:
    """Up to which p-value a feature is found among these; -1: none is."""
    bars = rate * (1 + _ROUNDING) * np.arange(1, len(p) + 1) / len(p)
    found = np.flatnonzero(np.sort(p) <= bars)
    return float(bars[found[-1]]) if len(found) else -1.0
