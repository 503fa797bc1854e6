"""Intervals whose unit is the situation, and how alike the situations of one group are."""

import math
from collections.abc import Callable, Iterable
from statistics import NormalDist
from typing import Final

import numpy as np
from scipy.special import betaincinv, stdtrit

from pipeline.analysis.clumps import limit_by_clumps
from pipeline.analysis.studentized import SAME, studentized_draws

# Values of one block of a product (rows x features); bounds memory at 32 MB.
_BLOCK: Final = 1 << 22


def studentized_interval(
    values: np.ndarray, resamples: int, confidence: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap-t interval of the mean over situations, the wider of it and Student's on either side.

    Situations are drawn with replacement, and each draw's mean is measured in its own standard
    errors, so that a skewed distribution gets bounds of unequal distance (Efron & Tibshirani 1993,
    section 12.5). Draws of a few situations repeat them, so that the bounds fall a little short: by
    simulation, sqrt(n / (n - 1)) times the distance does not. Of long tails the draws show too little:
    there Student's bound is the wider one. Of values in two clumps they show too much: there Wilson's
    limits both (`pipeline.analysis.clumps`). Over a dozen situations all three together cover where
    percentiles of the means do not (trap 35); `make bench` prints by how much.

    Parameters
    ----------
    values
        (situation, feature) float64, finite.

    Returns
    -------
    low, high
        (feature,) float64 each. NaN where the situations are too few to tell: all of one value, or so
        few of another that a bound is infinite.
    """
    values = np.asarray(values, dtype=np.float64)
    n, n_features = values.shape
    low, high = np.full(n_features, np.nan), np.full(n_features, np.nan)
    if n < 2:
        return low, high
    drawn = _resamples(n, resamples, rng)
    places = [max(0, math.ceil(tail * resamples) - 1) for tail in _tails(confidence)]
    least, wider = float(stdtrit(n - 1, (1 + confidence) / 2)), math.sqrt(n / (n - 1))
    step = max(1, _BLOCK // resamples)
    for start in range(0, n_features, step):
        block = slice(start, start + step)
        mean = values[:, block].mean(axis=0)
        centred = values[:, block] - mean
        size = np.abs(centred).max(axis=0)
        size[size < SAME * np.abs(mean)] = 0.0  # equal values, whose mean was rounded
        scaled = centred / np.where(size > 0, size, 1.0)
        ordered = studentized_draws(drawn @ scaled, drawn @ scaled**2, n, places)
        own = size * np.sqrt((scaled**2).sum(axis=0) / (n * (n - 1)))
        down, up = wider * ordered[1], -wider * ordered[0]
        known = np.flatnonzero((size > 0) & np.isfinite(down) & np.isfinite(up))
        down, up = limit_by_clumps(
            scaled[:, known], np.maximum(down[known], least), np.maximum(up[known], least), least, confidence
        )
        low[start + known] = mean[known] - down * own[known]
        high[start + known] = mean[known] + up * own[known]
    return low, high


def effective_units(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How many independent situations as many situations in groups are worth, by feature.

    n over the design effect 1 + (m - 1) ICC (Kish 1965), with the intraclass correlation from the
    analysis of variance, 0 if negative, and m the groups' typical size.

    Parameters
    ----------
    values
        (situation, feature) float64.
    groups
        (situation,) labels, such as domains.

    Returns
    -------
    numpy.ndarray
        (feature,) float64, between the number of groups and of situations; that of situations where
        there is one group, or nothing varies.
    """
    n = len(values)
    names, place = np.unique(groups.astype(str), return_inverse=True)
    sizes = np.bincount(place).astype(np.float64)
    result = np.full(values.shape[1], float(n))
    if len(names) < 2 or len(names) == n:
        return result
    member = (place[None] == np.arange(len(names))[:, None]).astype(np.float64)
    means = member @ values / sizes[:, None]
    between = (sizes[:, None] * (means - values.mean(axis=0)) ** 2).sum(axis=0) / (len(names) - 1)
    within = ((values - means[place]) ** 2).sum(axis=0) / (n - len(names))
    return n / (1 + (_typical(sizes) - 1) * _icc(between, within, _typical(sizes)))


def _typical(sizes: np.ndarray) -> float:
    """A group's size in the analysis of variance of groups of unequal size."""
    return float((sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(sizes) - 1))


def _icc(between: np.ndarray, within: np.ndarray, size: float) -> np.ndarray:
    """Intraclass correlation from mean squares; 0 where nothing varies, and not below."""
    whole = between + (size - 1) * within
    found = np.divide(between - within, whole, out=np.zeros_like(whole), where=whole > 0)
    clipped: np.ndarray = np.clip(found, 0.0, 1.0)
    return clipped


def pooled_rate_icc(cells: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Intraclass correlation of samples of one situation, pooled over cells of successes and samples.

    From the analysis of variance of 0 and 1 (Ridout, Demetrio & Firth 1999), sums of squares added
    over cells; 0 where no cell has two situations.
    """
    between = within = units = clusters = 0.0
    sizes = []
    for successes, n in cells:
        successes, n = successes[n > 0].astype(np.float64), n[n > 0].astype(np.float64)
        if len(n) < 2:
            continue
        rate, rates = successes.sum() / n.sum(), successes / n
        between += float((n * (rates - rate) ** 2).sum())
        within += float((successes * (1 - rates)).sum())
        clusters += len(n) - 1
        units += float(n.sum()) - len(n)
        sizes.append(_typical(n))
    if clusters == 0 or units == 0:
        return 0.0
    return float(_icc(np.array(between / clusters), np.array(within / units), float(np.mean(sizes))))


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


def rate_difference_interval(
    first: tuple[float, float], second: tuple[float, float], confidence: float
) -> tuple[float, float]:
    """Interval of the first rate minus the second, of independent samples (Newcombe 1998, method 10).

    Each is (successes, n); NaN where an n is 0.
    """
    rates = [of / n if n > 0 else np.nan for of, n in (first, second)]
    (low_a, high_a), (low_b, high_b) = (wilson_interval(*each, confidence) for each in (first, second))
    difference = rates[0] - rates[1]
    down = math.hypot(rates[0] - low_a, high_b - rates[1])
    return difference - down, difference + math.hypot(high_a - rates[0], rates[1] - low_b)


def exact_interval(successes: int, n: int, confidence: float) -> tuple[float, float]:
    """Exact interval of a proportion (Clopper & Pearson 1934); NaN where n is 0.

    However few the trials, no end is passed by more than half of what `confidence` leaves.
    """
    if n <= 0:
        return np.nan, np.nan
    lower, upper = _tails(confidence)
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, lower))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, upper))
    return low, high


def clustered_rate_interval(
    successes: np.ndarray, n: np.ndarray, confidence: float, *, icc: float = 0.0
) -> tuple[float, float]:
    """Interval of a rate whose samples come in situations.

    Samples of one situation are not independent, so Wilson's interval is taken with the
    *effective* number of samples: n over the design effect, the variance of the rate between
    situations (linearized ratio estimator) over that of independent samples, times the
    squared ratio of Student's quantiles at n - 1 and situations - 1 degrees of freedom
    (Korn & Graubard 1998; Dean & Pagano 2015). A few situations of a rare event, or a rate of 0 or 1,
    say little of the design effect: it is at least what `icc` makes it. One situation counts as one
    sample.

    Parameters
    ----------
    successes, n
        (situation,) successes and samples of each; situations without samples are left out.
    confidence
        Of the interval, as 0.95.
    icc
        Intraclass correlation that is known of like rates, such as `pooled_rate_icc`.

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
    least = 1.0 + max(0.0, float((n**2).sum()) / total - 1) * icc
    effect = max(least, between / independent) if independent > 0 else least
    upper = (1 + confidence) / 2
    few = (stdtrit(total - 1, upper) / stdtrit(clusters - 1, upper)) ** 2
    effective = total / effect * few
    return wilson_interval(rate * effective, effective, confidence)


def resampled_interval(
    tables: np.ndarray,
    measure: Callable[[np.ndarray], np.ndarray],
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
    *,
    least: float = 0.0,
) -> tuple[float, float]:
    """Interval of a measure between -1 and 1, such as kappa, of tables that are added over situations.

    Situations are drawn with replacement, which tells the measure's variance; with it comes Wilson's
    interval of (1 + measure) / 2, of as many samples as have that variance, times the squared ratio of
    the normal quantile and Student's (as in `clustered_rate_interval`). So it stays within -1 and 1, is
    the longer on the inner side, and has a width where all agree: there situations are the samples. In
    simulations of kappa a 95% interval covers 93 to 99% over 8 to 100 situations, also near 1 and with
    unequal weights (90% where one item in 30 is evil), where percentiles of the draws cover 52 to 95%,
    bias-corrected ones (BCa) no more, and bootstrap-t has no bound in up to half of the runs.

    Parameters
    ----------
    tables
        (situation, row, column) float64.
    measure
        Of tables (..., row, column), as (...); NaN where it is undefined: such draws are left out.
    least
        The variance is taken to be at least this, such as that of independent items: the few situations
        in which raters disagree may happen to weigh little.

    Returns
    -------
    low, high
        NaN where the measure is undefined, or there are fewer than two situations.
    """
    n = len(tables)
    value = float(measure(tables.sum(axis=0)))
    if n < 2 or not np.isfinite(value):
        return np.nan, np.nan
    draws = measure(np.tensordot(_resamples(n, resamples, rng), tables, axes=1))
    draws = draws[np.isfinite(draws)]
    variance = max(least, n / (n - 1) * float(draws.var())) / 4 if len(draws) else 0.0
    rate = min(1.0, max(0.0, (1 + value) / 2))
    few = (_normal_quantile(confidence) / float(stdtrit(n - 1, (1 + confidence) / 2))) ** 2
    # Draws that all agree differ by rounding alone.
    samples = rate * (1 - rate) / variance * few if variance > SAME else float(n)
    low, high = wilson_interval(rate * samples, samples, confidence)
    return 2 * low - 1, 2 * high - 1


def _resamples(n: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n units is drawn, by resample: (resample, unit) float64."""
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


def _tails(confidence: float) -> tuple[float, float]:
    return (1 - confidence) / 2, (1 + confidence) / 2


def _normal_quantile(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)
