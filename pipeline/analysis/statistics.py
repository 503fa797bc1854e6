"""Tests whose unit is the situation; plain NumPy, float64. Their intervals are in `intervals`."""

from collections.abc import Iterator
from typing import Final

import numpy as np

# Values of one block of a product (rows x features); bounds memory at 32 MB.
_BLOCK: Final = 1 << 22
# Relative slack when a flipped sum is compared with the observed one: ties are real
# (a situation of effect 0), and rounding must not break them.
_TIE: Final = 1e-12
# Where more than one sum in so many is too close for float32, all of the block are made in float64.
_FEW: Final = 64


def sign_flip_p(
    values: np.ndarray, flips: int, rng: np.random.Generator, *, hopeless: float = np.inf
) -> np.ndarray:
    """Two-sided p-values of "the mean is 0" by flipping the signs of situations.

    Under the null hypothesis the values of independent situations are symmetric about 0,
    so each sign pattern is as likely as the one observed (Fisher's randomization test).
    Flipping 0 changes nothing, so the patterns of a feature's k non-zero situations are all
    there is: where ``2**k`` is no more than `flips` they are enumerated, and p is their share
    at least as extreme; else p = (1 + count) / (1 + flips) over random patterns (Phipson &
    Smyth 2010), which is never 0.

    Parameters
    ----------
    values
        (situation, feature) float64; every column is tested by itself. NaN is a missing
        value: the feature is tested on the other situations.
    flips
        Random sign patterns, shared by the columns.
    rng
        Seeded generator.
    hopeless
        Random patterns end for a feature as soon as its p is above this whatever those left would give.
        It is then of the patterns so far, and above this, too: who asks which are not above it gets
        the same answer, and `benjamini_hochberg` finds the same ones at a rate of at most this.

    Returns
    -------
    numpy.ndarray
        (feature,) float64; NaN where every value is missing.
    """
    values = np.asarray(values, dtype=np.float64)
    if np.isinf(values).any():
        raise ValueError("sign_flip_p needs finite values")
    known = ~np.isnan(values)
    # A missing value and a zero both leave every sum as it is, whatever their sign.
    values = np.where(known, values, 0.0)
    n_nonzero = (values != 0).sum(axis=0)
    result = np.full(values.shape[1], np.nan)
    few = 2.0**n_nonzero <= flips
    for k in np.unique(n_nonzero[few]):
        columns = np.flatnonzero(few & (n_nonzero == k))
        # The non-zero values of each column, moved up.
        order = np.argsort(values[:, columns] == 0, axis=0, kind="stable")[:k]
        compact = np.take_along_axis(values[:, columns], order, axis=0)
        count, total = _as_extreme(compact, _all_signs(int(k)))
        result[columns] = count / total
    if not few.all():
        patterns, drawn = _random_signs(len(values), flips, rng), np.asarray(flips)
        if hopeless < 1:
            count, drawn = _as_extreme_until(values[:, ~few], patterns, hopeless * (1 + flips) - 1)
        else:
            count, _ = _as_extreme(values[:, ~few], patterns)
        result[~few] = (1 + count) / (1 + drawn)
    result[~known.any(axis=0)] = np.nan
    return result


def spearman(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rank correlations (Spearman 1904) of rows, ties at their mean rank.

    Parameters
    ----------
    left, right
        (row, value) float64.

    Returns
    -------
    numpy.ndarray
        (row,) float64; NaN where a side is of one value, or not known, or there is none.
    """
    if left.shape[1] == 0:
        return np.full(len(left), np.nan)
    from scipy.stats import rankdata  # takes a second to import

    ranks = [rankdata(side, axis=1, nan_policy="propagate") for side in (left, right)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    size = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    product = (centred[0] * centred[1]).sum(axis=1)
    found: np.ndarray = np.divide(product, size, out=np.full(len(left), np.nan), where=size > 0)
    return found


def spearman_interval(
    left: np.ndarray, right: np.ndarray, resamples: int, confidence: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Percentiles of `spearman` of (value,) pairs drawn with replacement.

    NaN where fewer than three are there, or one is not known.
    """
    if len(left) < 3 or not np.isfinite([left, right]).all():
        return np.nan, np.nan
    drawn = rng.integers(len(left), size=(resamples, len(left)))
    values = spearman(left[drawn], right[drawn])
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _as_extreme(values: np.ndarray, patterns: Iterator[np.ndarray]) -> tuple[np.ndarray, int]:
    """How many sign patterns give each column a sum at least as large as observed, of how many.

    Sums are made in float32, in half the time; those too close to the observed one for that are
    made again in float64, so that the counts are float64's.
    """
    n_rows, n_features = values.shape
    size = np.abs(values).sum(axis=0)
    bar = np.abs(values.sum(axis=0)) - _TIE * size
    scale = np.where(size > 0, size, 1.0)  # sums in units of it: no value is too large or small for float32
    scaled = (values / scale).astype(np.float32)
    # Rounding of the values, and of each of the additions; twice that, for the bar is rounded, too.
    slack = 2 * (n_rows + 3) * float(np.finfo(np.float32).eps)
    low, high = ((bar / scale + side).astype(np.float32) for side in (-slack, slack))
    count = np.zeros(n_features, dtype=np.int64)
    total = 0
    for signs in patterns:
        short = signs.astype(np.float32)
        step = max(1, _BLOCK // len(signs))
        for start in range(0, n_features, step):
            block = slice(start, start + step)
            sums = short @ scaled[:, block]
            np.abs(sums, out=sums)
            above = sums >= high[block]
            count[block] += np.count_nonzero(above, axis=0)
            above ^= sums >= low[block]  # those in between
            near = np.flatnonzero(above)
            if len(near) * _FEW > above.size:
                exact = np.abs(signs @ values[:, block]) >= bar[block]
                count[block] += np.count_nonzero(exact & above, axis=0)
                continue
            pattern, column = np.divmod(near, above.shape[1])
            column += start
            exact_sums = np.abs(np.einsum("pk,kp->p", signs[pattern], values[:, column]))
            count += np.bincount(column[exact_sums >= bar[column]], minlength=n_features)
        total += len(signs)
    return count, total


def _as_extreme_until(
    values: np.ndarray, patterns: Iterator[np.ndarray], most: float
) -> tuple[np.ndarray, np.ndarray]:
    """`_as_extreme` for each column until its count is more than `most`; of how many, by column."""
    count, drawn = np.zeros((2, values.shape[1]), np.int64)
    going = np.arange(values.shape[1])
    for signs in patterns:
        more, total = _as_extreme(values[:, going], iter([signs]))
        count[going] += more
        drawn[going] += total
        going = going[count[going] <= most]
        if not len(going):
            break
    return count, drawn


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Adjusted p-values (q) that control the false discovery rate.

    Benjamini & Hochberg 1995, by `scipy.stats.false_discovery_control`. NaN means not tested:
    it stays NaN and does not count.

    Parameters
    ----------
    p
        (feature,) p-values.

    Returns
    -------
    numpy.ndarray
        (feature,) float64.
    """
    from scipy.stats import false_discovery_control  # takes a second to import

    p = np.asarray(p, dtype=np.float64)
    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        q[tested] = false_discovery_control(p[tested], method="bh")
    return q


def share_as_large(values: np.ndarray, nulls: np.ndarray) -> np.ndarray:
    """Which share of the nulls is at least as large as each value, (1 + count) / (1 + nulls).

    NaN where there are no nulls.
    """
    if len(nulls) == 0:
        return np.full(len(values), np.nan)
    count = len(nulls) - np.searchsorted(np.sort(nulls), values, side="left")
    share: np.ndarray = (1 + count) / (1 + len(nulls))
    return share


def _all_signs(n: int) -> Iterator[np.ndarray]:
    """All sign patterns up to a common sign, which changes no absolute sum."""
    patterns = np.arange(2 ** max(0, n - 1), dtype=np.uint64)
    step = max(1, _BLOCK // (64 * max(1, n)))
    for start in range(0, len(patterns), step):
        bits = patterns[start : start + step, None] >> np.arange(n, dtype=np.uint64) & np.uint64(1)
        yield 1.0 - 2.0 * bits.astype(np.float64)


def _random_signs(n: int, flips: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    step = 4096
    for start in range(0, flips, step):
        size = (min(step, flips - start), n)
        yield 1.0 - 2.0 * rng.integers(0, 2, size=size, dtype=np.int8).astype(np.float64)
