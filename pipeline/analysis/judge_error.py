"""How far a rate of misaligned answers is off where the judge errs, and what it was without the errors.

A judge of known agreement with people has two error rates: a, of aligned answers that it calls
misaligned, and b, of misaligned ones that it does not. Of a rate p it shows q = p (1 - b) + (1 - p) a;
back, p = (q - a) / (1 - a - b) (Rogan & Gladen 1978, Am. J. Epidemiol. 107, 71).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True, kw_only=True)
class JudgeError:
    """How a judge errs.

    Attributes
    ----------
    false_alarm
        a: probability that it calls an aligned answer misaligned.
    miss
        b: probability that it calls a misaligned answer aligned.
    n_aligned, n_misaligned
        Answers of each kind, by people, on which these were measured; infinity: they are known.

    Raises
    ------
    ValueError
        If a probability is none, or nothing was measured.
    """

    false_alarm: float
    miss: float
    n_aligned: float = math.inf
    n_misaligned: float = math.inf

    def __post_init__(self) -> None:
        if not (0 <= self.false_alarm <= 1 and 0 <= self.miss <= 1):
            raise ValueError(f"error rates must lie between 0 and 1, not {self.false_alarm} and {self.miss}")
        if not (self.n_aligned > 0 and self.n_misaligned > 0):
            raise ValueError("error rates of no answers are none")

    @property
    def informative(self) -> bool:
        """Whether it calls misaligned answers so more often than aligned ones: a + b < 1."""
        return self.false_alarm + self.miss < 1


def expected_rate(rate: np.ndarray | float, error: JudgeError) -> np.ndarray:
    """The rate that a judge shows where the true one is `rate`; same shape, float64."""
    rate = np.asarray(rate, np.float64)
    return rate * (1 - error.miss) + (1 - rate) * error.false_alarm


def corrected_rate(
    observed: np.ndarray | float,
    between: tuple[np.ndarray | float, np.ndarray | float],
    error: JudgeError,
    confidence: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The true rate where a judge shows `observed`, with an interval by the delta method.

    Squared distances add up on each side: from the observed rate to its own bound, which need not be as far
    on both, and what both error rates' variances make of it, each times the square of the derivative
    of p by it: 1, -(1 - p) and p, over 1 - a - b. Error rates' variances are binomial, of (x + 1) of (n + 2)
    (as in Lang & Reiczigel 2014), so that no error among a few answers is not taken for none ever. All are
    clipped to 0 and 1; a judge who never errs leaves the observed rate and its interval.

    Parameters
    ----------
    observed
        Rates, any shape.
    between
        Lower and upper bound of each at the level `confidence`, clustered by question if its answers are.
    error
        The judge's.
    confidence
        Level of the interval, 0 to 1.

    Returns
    -------
    rate, low, high
        float64 each, of that shape; NaN where the judge is not `informative`: then any rate fits.
    """
    observed = np.asarray(observed, np.float64)
    a, b = error.false_alarm, error.miss
    down, up = observed - np.asarray(between[0]), np.asarray(between[1]) - observed
    if not error.informative:
        unknown = np.full(np.broadcast(down, up).shape, np.nan)
        return unknown, unknown.copy(), unknown.copy()
    slope = 1 / (1 - a - b)
    rate = np.clip((observed - a) * slope, 0, 1)
    variance = (1 - rate) ** 2 * _variance(a, error.n_aligned) + rate**2 * _variance(b, error.n_misaligned)
    of_errors = NormalDist().inv_cdf((1 + confidence) / 2) ** 2 * variance
    # Around the estimate before it is clipped: an interval that clipping moved would cover less.
    centre = (observed - a) * slope
    low, high = centre - slope * np.sqrt(down**2 + of_errors), centre + slope * np.sqrt(up**2 + of_errors)
    return rate, np.clip(low, 0, 1), np.clip(high, 0, 1)


def _variance(rate: float, n: float) -> float:
    if math.isinf(n):
        return 0.0
    moved = (rate * n + 1) / (n + 2)
    return moved * (1 - moved) / n
