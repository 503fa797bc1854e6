"""By how much two variants' rates differ on the same situations."""

from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from pipeline.analysis.intervals import clustered_rate_interval
from pipeline.analysis.rates import samples_icc
from store.documents.variants import BASE
from store.schema.vocabulary import ALL

_COLUMNS: Final = (
    "variant",
    "domain",
    "held_out",
    "rate",
    "base",
    "difference",
    "low",
    "high",
    "n_situations",
)


class Difference(NamedTuple):
    """A difference of two rates, and its interval."""

    value: float
    low: float
    high: float


def rate_difference(
    events: tuple[np.ndarray, np.ndarray],
    n: tuple[np.ndarray, np.ndarray],
    confidence: float,
    *,
    icc: float = 0.0,
) -> Difference:
    """First rate minus second, with an interval that knows that both are of the same situations.

    Each rate's own interval (`clustered_rate_interval`) is carried over to the difference, with
    the correlation of what the two do by situation: Newcombe's score interval for paired
    proportions (Newcombe 1998, method 10) with clustered limits (method of variance estimates
    recovery, Zou & Donner 2008). Variants that are sampled with the same random numbers agree
    where nothing changed, which narrows it; at rates of 0 and 1 it keeps a width. In simulations
    a 95% interval covers 93 to 99% over 36 situations, and over 6 very unlike ones 89%.

    Parameters
    ----------
    events, n
        For both variants (situation,) events and samples; situations that one of them lacks are
        left out.
    confidence
        Of the interval, as 0.95.
    icc
        As for `clustered_rate_interval`.

    Returns
    -------
    Difference
        NaN where no situation has samples of both.
    """
    both = (n[0] > 0) & (n[1] > 0)
    if not both.any():
        return Difference(np.nan, np.nan, np.nan)
    (first, second), (n_first, n_second) = (
        tuple(np.asarray(each, np.float64)[both] for each in pair) for pair in (events, n)
    )
    rates = first.sum() / n_first.sum(), second.sum() / n_second.sum()
    (low_first, high_first), (low_second, high_second) = (
        clustered_rate_interval(of, total, confidence, icc=icc)
        for of, total in ((first, n_first), (second, n_second))
    )
    phi = _correlation(first - rates[0] * n_first, second - rates[1] * n_second)
    value = float(rates[0] - rates[1])
    down = _combined(rates[0] - low_first, high_second - rates[1], phi)
    up = _combined(high_first - rates[0], rates[1] - low_second, phi)
    return Difference(value, max(-1.0, value - down), min(1.0, value + up))


def differences(table: xr.Dataset, outcome: str, confidence: float) -> pd.DataFrame:
    """How every adapted variant's rate of an outcome differs from base's, by domain and split.

    Parameters
    ----------
    table
        The group `situations` of the RATES dataset.
    outcome
        One of its outcomes.
    confidence
        Level of the intervals, 0 to 1.

    Returns
    -------
    pd.DataFrame
        Columns variant, domain (`all`: every domain), held_out, rate, base, difference, low, high
        and n_situations; no row where nothing was sampled of both.
    """
    n = table["n"].values.astype(np.float64)  # (variant, situation)
    events = np.nan_to_num(table["rate"].sel(outcome=outcome).values) * n
    variants = [str(variant) for variant in table["variant"].values]
    domains = table["situation_domain"].values.astype(str)
    held_out = table["situation_held_out"].values.astype(bool)
    icc = samples_icc(events, n, domains, held_out)
    rows = []
    for variant in [each for each in variants if each != BASE and BASE in variants]:
        sides = variants.index(variant), variants.index(BASE)
        for domain in [ALL, *sorted(set(domains) - {""})]:
            for split in (False, True):
                of = (held_out == split) & ((domains == domain) | (domain == ALL))
                (first, second), (n_first, n_second) = (
                    tuple(values[side, of] for side in sides) for values in (events, n)
                )
                both = (n_first > 0) & (n_second > 0)
                if not both.any():
                    continue
                found = rate_difference((first, second), (n_first, n_second), confidence, icc=icc)
                rows.append(
                    {
                        "variant": variant,
                        "domain": domain,
                        "held_out": split,
                        "rate": first[both].sum() / n_first[both].sum(),
                        "base": second[both].sum() / n_second[both].sum(),
                        "difference": found.value,
                        "low": found.low,
                        "high": found.high,
                        "n_situations": int(both.sum()),
                    }
                )
    return pd.DataFrame(rows, columns=_COLUMNS)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Of deviations by situation; 0 where one of them has none."""
    spread = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return 0.0 if spread < 1e-12 else float(np.clip((first * second).sum() / spread, -1, 1))


def _combined(first: float, second: float, phi: float) -> float:
    return float(np.sqrt(max(0.0, first**2 + second**2 - 2 * phi * first * second)))
