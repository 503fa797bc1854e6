"""Tests and intervals whose unit is the situation; plain NumPy, float64."""

from collections.abc import Iterator
from statistics import NormalDist
from typing import Final

import numpy as np
from scipy.special import stdtrit

# Values of one block of a product (rows x features); bounds memory at 32 MB.
_BLOCK: Final = 1 << 22
# Relative slack when a flipped sum is compared with the observed one: ties are real
# (a situation of effect 0), and rounding must not break them.
_TIE: Final = 1e-12


def sign_flip_p(values: np.ndarray, flips: int, rng: np.random.Generator) -> np.ndarray:
    """Two-sided p-values of "the mean is 0" by flipping the signs of situations.

    Under the null hypothesis the values of independent situations are symmetric about 0,
    so each sign pattern is as likely as the one observed (Fisher's randomization test).
    All ``2**n`` patterns are enumerated where they are no more than `flips`, and p is their
    share at least as extreme; else p = (1 + count) / (1 + flips) over random patterns
    (Phipson & Smyth 2010), which is never 0.

    Parameters
    ----------
    values
        (situation, feature) float64, finite; every column is tested by itself.
    flips
        Random sign patterns, shared by the columns.
    rng
        Seeded generator.

    Returns
    -------
    numpy.ndarray
        (feature,) float64.
    """
    values = np.asarray(values, dtype=np.float64)
    n_situations, n_features = values.shape
    if not np.isfinite(values).all():
        raise ValueError("sign_flip_p needs finite values")
    if n_situations == 0:
        return np.full(n_features, np.nan)
    observed = np.abs(values.sum(axis=0))
    bar = observed - _TIE * np.abs(values).sum(axis=0)
    exact = 2**n_situations <= flips
    count = np.zeros(n_features, dtype=np.int64)
    total = 0
    for signs in _all_signs(n_situations) if exact else _random_signs(n_situations, flips, rng):
        step = max(1, _BLOCK // len(signs))
        for start in range(0, n_features, step):
            block = slice(start, start + step)
            sums = np.abs(signs @ values[:, block])
            count[block] += (sums >= bar[block]).sum(axis=0)
        total += len(signs)
    return count / total if exact else (1 + count) / (1 + total)


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values (q) that control the false discovery rate.

    Benjamini & Hochberg 1995: q of the i-th smallest of m p-values is the minimum of
    ``p_j m / j`` over j >= i, at most 1. NaN means not tested: it stays NaN and does not
    count into m.
    """
    p = np.asarray(p, dtype=np.float64)
    q = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    raw = p[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q


def bootstrap_interval(
    values: np.ndarray, resamples: int, confidence: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap interval of the mean over situations.

    Situations are drawn with replacement; the bounds are the ``(1 - confidence) / 2``
    quantiles of the resampled means at either end (Efron 1979). With few situations such
    intervals are somewhat too narrow; a single one gives an interval of no width.

    Parameters
    ----------
    values
        (situation, feature) float64, finite.

    Returns
    -------
    low, high
        (feature,) float64 each; NaN without situations.
    """
    values = np.asarray(values, dtype=np.float64)
    n_situations, n_features = values.shape
    low, high = np.full(n_features, np.nan), np.full(n_features, np.nan)
    if n_situations == 0:
        return low, high
    weights = _resamples(n_situations, resamples, rng) / n_situations
    tails = _tails(confidence)
    step = max(1, _BLOCK // resamples)
    for start in range(0, n_features, step):
        block = slice(start, start + step)
        low[block], high[block] = np.quantile(weights @ values[:, block], tails, axis=0)
    return low, high


def wilson_interval(successes: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson score interval of a proportion (Wilson 1927); NaN where n is 0.

    `successes` may be fractional: a rate over n units.
    """
    if n <= 0:
        return np.nan, np.nan
    z = _normal_quantile(confidence)
    rate = successes / n
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    # At a rate of 0 or 1 the bound is the rate itself, up to rounding.
    low = 0.0 if rate == 0 else max(0.0, centre - half)
    high = 1.0 if rate == 1 else min(1.0, centre + half)
    return float(low), float(high)


def clustered_rate_interval(successes: np.ndarray, n: np.ndarray, confidence: float) -> tuple[float, float]:
    """Interval of a rate whose samples come in situations.

    Samples of one situation are not independent, so Wilson's interval is taken with the
    *effective* number of samples: n over the design effect, the variance of the rate between
    situations (linearized ratio estimator) over that of independent samples, times the
    squared ratio of Student's quantiles at n - 1 and situations - 1 degrees of freedom
    (Korn & Graubard 1998; Dean & Pagano 2015). The design effect is at least 1, and 1
    where the rate is 0 or 1 and says nothing about it. One situation counts as one sample.

    Parameters
    ----------
    successes, n
        (situation,) successes and samples of each; situations without samples are left out.
    confidence
        Of the interval, as 0.95.

    Returns
    -------
    low, high
        NaN where there is no sample.
    """
    successes, n = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    successes, n = successes[n > 0], n[n > 0]
    clusters, total = len(n), float(n.sum())
    if clusters == 0:
        return np.nan, np.nan
    rate = float(successes.sum()) / total
    if clusters == 1:
        return wilson_interval(rate, 1, confidence)
    independent = rate * (1 - rate) / total
    between = clusters / (clusters - 1) * ((successes - rate * n) ** 2).sum() / total**2
    effect = max(1.0, between / independent) if independent > 0 else 1.0
    upper = (1 + confidence) / 2
    few = (stdtrit(total - 1, upper) / stdtrit(clusters - 1, upper)) ** 2
    effective = total / effect * few
    return wilson_interval(rate * effective, effective, confidence)


def _all_signs(n: int) -> Iterator[np.ndarray]:
    """All sign patterns up to a common sign, which changes no absolute sum."""
    patterns = np.arange(2 ** (n - 1), dtype=np.uint64)
    step = max(1, _BLOCK // (64 * n))
    for start in range(0, len(patterns), step):
        bits = patterns[start : start + step, None] >> np.arange(n, dtype=np.uint64) & np.uint64(1)
        yield 1.0 - 2.0 * bits.astype(np.float64)


def _random_signs(n: int, flips: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    step = 4096
    for start in range(0, flips, step):
        size = (min(step, flips - start), n)
        yield 1.0 - 2.0 * rng.integers(0, 2, size=size, dtype=np.int8).astype(np.float64)


def _resamples(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n units is drawn, by resample: (resample, unit) float64."""
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


def _tails(confidence: float) -> tuple[float, float]:
    return (1 - confidence) / 2, (1 + confidence) / 2


def _normal_quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
