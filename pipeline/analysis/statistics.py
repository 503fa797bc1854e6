"""Tests whose unit is the situation; plain NumPy, float64. Their intervals are in `intervals`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np

from pipeline.analysis.ending import count_draws

# Values of one block of a product (rows x features); bounds memory at 32 MB.
_BLOCK: Final = 1 << 22
# Bits of random patterns that are held at a time: 64 MB.
_HELD: Final = 1 << 26
# Relative slack when a flipped sum is compared with the observed one: ties are real
# (a situation of effect 0), and rounding must not break them.
_TIE: Final = 1e-12
# Where more than one sum in so many is too close to tell in float32, all of the block are made in float64.
_FEW: Final = 64
# Up to it float32 holds every whole number.
_WHOLE: Final = 2.0**24


def sign_flip_p(values: np.ndarray, flips: int, rng: np.random.Generator) -> np.ndarray:
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
    result = sign_flip_p_by_block(
        lambda columns: values[:, columns], np.arange(values.shape[1]), flips, rng, step=values.shape[1]
    )
    result[~known.any(axis=0)] = np.nan
    return result


def sign_flip_p_by_block(
    values: Callable[[np.ndarray], np.ndarray],
    features: np.ndarray,
    flips: int,
    rng: np.random.Generator,
    *,
    step: int,
    rate: float | None = None,
) -> np.ndarray:
    """`sign_flip_p` of features whose values are asked for a block at a time.

    Parameters
    ----------
    values
        ``columns -> (situation, column)`` float64, finite.
    features
        (feature,) the columns that are tested.
    flips, rng
        As for `sign_flip_p`.
    step
        Columns of a block.
    rate
        Patterns end for features that `benjamini_hochberg` cannot find at this rate any more. The same are
        found, with the same p and q; p of others is of the patterns so far (`count_draws`).

    Returns
    -------
    numpy.ndarray
        (feature,) float64.
    """
    result = np.full(len(features), np.nan)
    n_rows = 0
    for start in range(0, len(features), max(1, step)):
        block = slice(start, start + step)
        result[block], n_rows = _enumerated_p(of := values(features[block]), flips), len(of)

    def as_extreme(columns: np.ndarray, begin: int, end: int) -> np.ndarray:
        bits = rng.integers(0, 2, size=(end - begin, n_rows), dtype=np.int8)
        found = [
            _as_extreme(values(features[columns[at : at + step]]), _signs_of(bits))[0]
            for at in range(0, len(columns), step)
        ]
        return np.concatenate(found)

    count, drawn = count_draws(as_extreme, result, flips, rate=rate, most=_HELD // max(1, n_rows))
    random = np.isnan(result)
    result[random] = (1 + count[random]) / (1 + drawn[random])
    return result


def _enumerated_p(values: np.ndarray, flips: int) -> np.ndarray:
    """p-values of columns that have no more than so many sign patterns; NaN of the others."""
    result = np.full(values.shape[1], np.nan)
    n_nonzero = (values != 0).sum(axis=0)
    few = 2.0**n_nonzero <= flips
    for k in np.unique(n_nonzero[few]):
        columns = np.flatnonzero(few & (n_nonzero == k))
        # The non-zero values of each column, moved up.
        order = np.argsort(values[:, columns] == 0, axis=0, kind="stable")[:k]
        compact = np.take_along_axis(values[:, columns], order, axis=0)
        count, total = _as_extreme(compact, _all_signs(int(k)))
        result[columns] = count / total
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


class _Columns:
    """Columns whose sums under sign patterns are held against the sums that were observed.

    Sums are made in float32 of values in whole units, so many in all that float32 adds them exactly, in
    any order. What rounding to units leaves out is known; sums nearer to the observed one than that are
    made again in float64, so that the counts are float64's.

    Parameters
    ----------
    values
        (row, column) float64, finite.
    """

    def __init__(self, values: np.ndarray) -> None:
        n_rows = len(values)
        size = np.abs(values).sum(axis=0)
        self._bar = np.abs(values.sum(axis=0)) - _TIE * size
        # In parts of a column's size no value is too large or small for float32.
        unit = np.where(size > 0, size, 1.0)
        most = _WHOLE - n_rows - 2  # a row is rounded by half a unit, and so is a bar
        scaled = values / unit * most
        whole = np.rint(scaled)
        # What the units leave out, and what float64 rounds in sums of so many rows.
        slack = np.abs(scaled - whole).sum(axis=0) + (n_rows + 2) * 2.0**-27
        bar = self._bar / unit * most
        self._low, self._high = (np.ceil(bar + side).astype(np.float32) for side in (-slack, slack))
        self._units = whole.astype(np.float32)
        self._values = np.ascontiguousarray(values.T)

    def as_extreme(self, signs: np.ndarray) -> np.ndarray:
        """How many of the patterns, (pattern, row) float32, give a sum at least as large; (column,) int64."""
        n_columns = len(self._bar)
        count = np.zeros(n_columns, dtype=np.int64)
        step = max(1, _BLOCK // len(signs))
        for start in range(0, n_columns, step):
            block = slice(start, start + step)
            sums = signs @ self._units[:, block]
            np.abs(sums, out=sums)
            above = sums >= self._high[block]
            count[block] += np.count_nonzero(above, axis=0)
            above ^= sums >= self._low[block]  # those in between
            near = np.flatnonzero(above)
            if len(near) * _FEW > above.size:
                exact = np.abs(signs.astype(np.float64) @ self._values[block].T) >= self._bar[block]
                count[block] += np.count_nonzero(exact & above, axis=0)
                continue
            pattern, column = np.divmod(near, above.shape[1])
            column += start
            exact_sums = np.abs(np.einsum("pk,pk->p", signs[pattern], self._values[column]))
            count += np.bincount(column[exact_sums >= self._bar[column]], minlength=n_columns)
        return count


def _as_extreme(values: np.ndarray, patterns: Iterable[np.ndarray]) -> tuple[np.ndarray, int]:
    """How many sign patterns give each column a sum at least as large as observed, of how many."""
    columns = _Columns(values)
    count, total = np.zeros(values.shape[1], np.int64), 0
    for signs in patterns:
        count += columns.as_extreme(signs)
        total += len(signs)
    return count, total


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
    """All sign patterns up to a common sign, which changes no absolute sum; (pattern, n) float32."""
    patterns = np.arange(2 ** max(0, n - 1), dtype=np.uint64)
    step = max(1, _BLOCK // (64 * max(1, n)))
    for start in range(0, len(patterns), step):
        bits = patterns[start : start + step, None] >> np.arange(n, dtype=np.uint64) & np.uint64(1)
        yield _signs(bits.astype(np.int8))


def _signs_of(bits: np.ndarray) -> Iterator[np.ndarray]:
    """Signs of (pattern, n) bits, some patterns at a time."""
    step = 4096
    return (_signs(bits[start : start + step]) for start in range(0, len(bits), step))


def _signs(bits: np.ndarray) -> np.ndarray:
    """1 for 0 and -1 for 1, float32; bits are int8."""
    signs: np.ndarray = (1 - 2 * bits).astype(np.float32)
    return signs
