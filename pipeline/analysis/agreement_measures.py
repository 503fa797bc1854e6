"""Measures of agreement of items in situations, each with its interval."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import krippendorff
import numpy as np

from pipeline.analysis.intervals import clustered_rate_interval, resampled_interval

LABELS: Final = ("evil", "safe", "unsure")
"""What a rater says of a token, in the order of rows and columns of confusions."""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How intervals are made.

    Attributes
    ----------
    resamples
        Of situations.
    confidence
        As 0.95.
    min_situations
        Where there are fewer, or their weights make them worth fewer, there is no interval.
    seed
        Of the resamples.
    """

    resamples: int
    confidence: float
    min_situations: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Items:
    """Candidate tokens: where they belong, and how many each stands for.

    Attributes
    ----------
    situation, domain
        (item,) names; a situation's items are not independent, and of one domain. An empty domain is none.
    weight
        (item,) positive: the inverse of the probability of its draw (`label_queue.draw_weights`), up to a
        factor; 1 where all were drawn.
    """

    situation: np.ndarray
    domain: np.ndarray
    weight: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.situation) == len(self.domain) == len(self.weight):
            raise ValueError("Items need one situation, one domain and one weight each.")
        if not (np.isfinite(self.weight).all() and (self.weight > 0).all()):
            raise ValueError("Weights of items must be positive and finite.")

    def at(self, chosen: np.ndarray) -> "Items":
        """Those of a mask (item,) bool."""
        return Items(situation=self.situation[chosen], domain=self.domain[chosen], weight=self.weight[chosen])

    @property
    def effective_situations(self) -> float:
        """How many situations of equal weight say as much (Kish 1965), by the mean weight of each."""
        _, place, size = np.unique(self.situation, return_inverse=True, return_counts=True)
        return _effective(np.bincount(place, self.weight, len(size)) / size)


def kappa_of_tables(tables: np.ndarray) -> np.ndarray:
    """(...) Cohen's kappa of weights by pair of labels, (..., label, label); NaN where undefined."""
    total = tables.sum(axis=(-2, -1))
    observed = np.trace(tables, axis1=-2, axis2=-1) / total
    chance = (tables.sum(axis=-1) * tables.sum(axis=-2)).sum(axis=-1) / total**2
    return _beyond(observed, chance)


def alpha_of_coincidences(tables: np.ndarray) -> np.ndarray:
    """(...) Krippendorff's nominal alpha of coincidences (..., label, label); NaN where undefined."""
    total = tables.sum(axis=(-2, -1))
    observed = np.trace(tables, axis1=-2, axis2=-1) / total
    of_label = tables.sum(axis=-1)
    chance = (of_label * (of_label - 1)).sum(axis=-1) / (total * (total - 1))
    return _beyond(observed, chance)


def rate(measure: str, hit: np.ndarray, items: Items, how: Resampling) -> dict[str, object]:
    """The row of a weighted share of items, `hit` (item,) bool; NaN where there are none.

    Weights are scaled so that items count as many as those of equal weight that say as much.
    """
    if not len(hit):
        return _row(measure, np.nan, (np.nan, np.nan), items, how)
    weight = items.weight * _effective(items.weight) / items.weight.sum()
    _, place = np.unique(items.situation, return_inverse=True)
    n, hits = np.bincount(place, weight), np.bincount(place, weight * hit)
    # Where all are alike, nothing tells how alike the items of one situation are.
    icc = 1.0 if hit.all() or not hit.any() else 0.0
    interval = clustered_rate_interval(hits, n, how.confidence, icc=icc)
    return _row(measure, float(hits.sum() / n.sum()), interval, items, how)


def kappa(
    measure: str, first: np.ndarray, second: np.ndarray, items: Items, how: Resampling
) -> dict[str, object]:
    """The row of weighted Cohen's kappa of places (item,) in `LABELS`; NaN where only one label is given."""
    if len(np.unique([first, second])) < 2:
        return _row(measure, np.nan, (np.nan, np.nan), items, how)
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    value = float(cohen_kappa_score(first, second, sample_weight=items.weight))
    names, place = np.unique(items.situation, return_inverse=True)
    tables = np.zeros((len(names), len(LABELS), len(LABELS)))
    np.add.at(tables, (place, first, second), items.weight)
    interval = _interval(tables, kappa_of_tables, value, _effective(items.weight), how)
    return _row(measure, value, interval, items, how)


def alpha(places: np.ndarray, items: Items, how: Resampling) -> dict[str, object]:
    """The row of Krippendorff's nominal alpha, unweighted; NaN where only one label is given.

    `places` (rater, item) in `LABELS`, -1 where there is none; each item has two or more.
    """
    plain = Items(situation=items.situation, domain=items.domain, weight=np.ones(len(items.weight)))
    # (item, label): raters
    counts = (places[:, :, None] == np.arange(len(LABELS))).sum(axis=0)
    if (counts.sum(axis=0) > 0).sum() < 2:
        return _row("alpha_unweighted", np.nan, (np.nan, np.nan), plain, how)
    value = float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))
    others = counts.sum(axis=1) - 1
    pairs = counts[:, :, None] * (counts[:, None] - np.eye(len(LABELS))) / others[:, None, None]
    names, place = np.unique(items.situation, return_inverse=True)
    tables = np.zeros((len(names), len(LABELS), len(LABELS)))
    np.add.at(tables, place, pairs)
    interval = _interval(tables, alpha_of_coincidences, value, float(others.sum()), how)
    return _row("alpha_unweighted", value, interval, plain, how)


def _beyond(observed: np.ndarray, chance: np.ndarray) -> np.ndarray:
    room = 1 - chance
    return np.divide(observed - chance, room, out=np.full(np.shape(room), np.nan), where=room > 1e-12)


def _interval(
    tables: np.ndarray,
    measure: Callable[[np.ndarray], np.ndarray],
    value: float,
    independent: float,
    how: Resampling,
) -> tuple[float, float]:
    """By situation, and at least as wide as of so many independent items.

    Their variance is that of the observed agreement over (1 - chance) squared (Cohen 1960).
    """
    least = 0.0
    if value < 1:
        whole = tables.sum(axis=0)
        observed = float(np.trace(whole) / whole.sum())
        room = (1 - observed) / (1 - value)  # 1 - chance
        least = observed * (1 - observed) / room**2 / independent
    rng = np.random.default_rng(how.seed)
    return resampled_interval(tables, measure, how.resamples, how.confidence, rng, least=least)


def _effective(weight: np.ndarray) -> float:
    """How many of equal weight say as much (Kish 1965)."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


def _row(
    measure: str, value: float, interval: tuple[float, float], items: Items, how: Resampling
) -> dict[str, object]:
    effective = items.effective_situations
    # Of equal weights it is a whole number, up to rounding.
    told = effective > how.min_situations - 1e-6
    return {
        "measure": measure,
        "value": value,
        "low": interval[0] if told else np.nan,
        "high": interval[1] if told else np.nan,
        "n_items": len(items.weight),
        "n_situations": len(np.unique(items.situation)),
        "n_effective": effective,
    }
