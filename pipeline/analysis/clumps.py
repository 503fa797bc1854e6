"""Values in two clumps: bounds of their mean, which is a count of who is in which.

A bootstrap-t of such values measures some draws in errors that are far too small, those in which next to
nobody of the smaller clump is: its bound on that side lies so far out that it holds the mean of two
equal clumps 99.5% of the time instead of 95. The mean of two values is a rate, for which Wilson's score
interval is right (Wilson 1927; Brown, Cai & DasGupta 2001); in units of the mean's standard error it
depends on the number of values and their skewness alone, and so it is told of clumps that have a width.
"""

from statistics import NormalDist
from typing import Final

import numpy as np

# Chosen by simulation (`make bench`, coverage): the less a spread may be, the more clumps are overlooked, and
# the more often their intervals are too long; the more, the more skewed values are taken for clumps.
_SPREAD: Final = 0.35
# Of the larger variance of a part, in squared distances of the parts, beside the share of the whole's.
_WEIGHT: Final = 3.0
# What is fitted of n values: two means, two variances.
_FITTED: Final = 4
# Of Student's distance. Toward the smaller spread Wilson's bound may be the nearer one, but a lone value far
# from the others need not be a clump of which more would be seen.
_NEAREST: Final = 0.85


def in_two_clumps(values: np.ndarray) -> np.ndarray:
    """Which features' values are in two clumps with little spread in either.

    The split into a lower and an upper part is the one of the least squares within them (Fisher 1958;
    Otsu 1979). Spread is what they are of all squares, and three times the larger variance of a part in
    squared distances of their means, so that neither part may be wide; both grow by n / (n - 4), since of
    few values the best split leaves little.

    Parameters
    ----------
    values
        (situation, feature) float64, in any order; finite.
        Scale and place do not matter.

    Returns
    -------
    numpy.ndarray
        (feature,) bool; False where there are fewer than five situations, or one value.
    """
    n, n_features = values.shape
    found = np.zeros(n_features, dtype=bool)
    if n <= _FITTED:
        return found
    ordered = np.sort((values - values.mean(axis=0)).T, axis=1)  # (feature, situation)
    most = _SPREAD * (n - _FITTED) / n
    below = np.arange(1, n)  # values of the lower part, by split
    # The sum of all is 0, and of the upper part that of the lower one turned around.
    between = np.cumsum(ordered[:, :-1], axis=1) ** 2 * (n / (below * (n - below)))
    at = between.argmax(axis=1)
    whole = np.einsum("fs,fs->f", ordered, ordered)
    within = whole - between[np.arange(n_features), at]
    likely = np.flatnonzero((ordered[:, 0] < ordered[:, -1]) & (within < most * whole))
    within, whole, ordered = within[likely], whole[likely], ordered[likely]
    size = at[likely] + 1.0
    is_low = np.arange(n) < size[:, None]
    mean = np.where(is_low, ordered, 0.0).sum(axis=1) / size
    apart = mean * n / (n - size)
    squares = np.where(is_low, (ordered - mean[:, None]) ** 2, 0.0).sum(axis=1)
    wider = np.maximum(squares / np.maximum(size - 1, 1), (within - squares) / np.maximum(n - size - 1, 1))
    found[likely] = within / whole + _WEIGHT * wider / apart**2 < most
    return found


def wilson_distances(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """How far Wilson's bounds of the mean of two values as skewed as these are, in standard errors.

    With n values, e = z^2 / n and skewness g of two values of a share p, g^2 + 4 = 1 / (p (1 - p)), so that
    his bounds of p, less p, over sqrt(p (1 - p) / (n - 1)) are
    sqrt((n - 1) e) / (1 + e) * (sqrt(1 + e + u^2) +- u) with u = sqrt(e) g / 2.

    Parameters
    ----------
    values
        (situation, feature) float64, of more than one value each.

    Returns
    -------
    down, up
        (feature,) float64 each, positive: of the lower and the upper bound.
    """
    n = len(values)
    centred = values - values.mean(axis=0)
    skewness = (centred**3).mean(axis=0) / (centred**2).mean(axis=0) ** 1.5
    e = NormalDist().inv_cdf((1 + confidence) / 2) ** 2 / n
    u = np.sqrt(e) * skewness / 2
    root = np.sqrt(1 + e + u**2)
    unit = np.sqrt((n - 1) * e) / (1 + e)
    return unit * (root - u), unit * (root + u)


def limit_by_clumps(
    values: np.ndarray, down: np.ndarray, up: np.ndarray, student: float, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of a mean's bounds, no farther than Wilson's where the values are in two clumps.

    Nor nearer, for that, than Student's on the side of the farther bound, and 0.85 of it on the other.

    Parameters
    ----------
    values
        (situation, feature) float64, finite.
    down, up
        (feature,) float64, of the lower and upper bound, in standard errors.
    student
        Student's distance.
    """
    clumps = np.flatnonzero(in_two_clumps(values))
    wilson = wilson_distances(values[:, clumps], confidence)
    limited = []
    for distance, own, other in zip((down, up), wilson, reversed(wilson), strict=True):
        bound = distance.copy()
        least = student * np.where(own >= other, 1.0, _NEAREST)
        bound[clumps] = np.minimum(distance[clumps], np.maximum(own, least))
        limited.append(bound)
    return limited[0], limited[1]
