"""Which features go with how well a model answers: correlations over a behaviour's prompts.

Prompts of one group (a noun, a country) are not independent (trap 17): Student's test of a correlation takes
as many prompts as they are worth (`pipeline.analysis.intervals.effective_units` of the products that the
correlation is the mean of). Where every prompt is a group of its own it is that of `scipy.stats.pearsonr`.
Of few groups Student's says too much: a noun's features go with that noun's answers, whatever these are.
There the signs of the groups' sums of products are flipped, in every way that there is (the score test of
Kline & Santos 2012; few groups: Canay, Santos & Shaikh 2021).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from pipeline.analysis.intervals import effective_units
from pipeline.analysis.scores import feature_key
from pipeline.analysis.statistics import sign_flip_p

# Below it, relative to the values, a deviation is rounding.
_SAME = 1e-12


@dataclass(frozen=True, kw_only=True)
class Activities:
    """How active features are on prompts.

    Attributes
    ----------
    layer, index
        (feature,) of all that are active on any of the prompts, ascending.
    values
        (prompt, feature) float64, 0 where inactive.
    """

    layer: np.ndarray
    index: np.ndarray
    values: np.ndarray

    @property
    def mean_size(self) -> np.ndarray:
        """(feature,) mean over prompts of how large activations are; 0 without prompts."""
        found: np.ndarray = np.abs(self.values).sum(axis=0) / max(len(self.values), 1)
        return found


def activities(items: Sequence[Mapping[str, np.ndarray]]) -> Activities:
    """Of the arrays of `decision_features` items, one a prompt."""
    keys = [feature_key(one["layer"], one["index"]) for one in items]
    every = np.unique(np.concatenate([np.empty(0, np.int64), *keys]))
    values = np.zeros((len(items), len(every)))
    for row, (key, one) in enumerate(zip(keys, items, strict=True)):
        values[row, np.searchsorted(every, key)] = one["value"]
    return Activities(
        layer=(every >> 32).astype(np.int16), index=(every & 0xFFFFFFFF).astype(np.int32), values=values
    )


def correlations(
    values: np.ndarray, contrast: np.ndarray, groups: np.ndarray, *, min_active: int, flips: int
) -> dict[str, np.ndarray]:
    """Pearson's correlations of features' activations with the contrast.

    Parameters
    ----------
    values
        (prompt, feature) float64.
    contrast
        (prompt,) float64, logits.
    groups
        (prompt,) labels.
    min_active
        In fewer groups a feature's correlation is not tested.
    flips
        Where the signs of all groups have no more patterns, p is their share at least as extreme.

    Returns
    -------
    dict
        (feature,) `correlation`, NaN where a side does not vary; `effective` prompts; `p`, two-sided, NaN
        where it is not tested; `n_groups`, in which the feature is active.
    """
    n, n_features = values.shape
    names, place = np.unique(groups.astype(str), return_inverse=True)
    n_groups = np.zeros(n_features, np.int32)
    for group in range(len(names)):
        n_groups += (values[place == group] != 0).any(axis=0)
    correlation, effective, p = (np.full(n_features, np.nan) for _ in range(3))
    side = contrast - contrast.mean() if n else contrast
    deviation = values - values.mean(axis=0) if n else values
    sizes = np.sqrt((deviation**2).sum(axis=0)), np.sqrt((side**2).sum())
    varies = sizes[0] > _SAME * np.sqrt((values**2).sum(axis=0))
    varies &= bool(sizes[1] > _SAME * np.sqrt((contrast**2).sum()))
    if varies.any():
        products = deviation[:, varies] / sizes[0][varies] * (side / sizes[1])[:, None]
        correlation[varies] = np.clip(products.sum(axis=0), -1.0, 1.0)
        effective[varies] = effective_units(products, groups)
        tested = varies & (n_groups >= min_active) & (effective > 2)
        if 2.0 ** len(names) <= flips:
            sums = np.stack([products[place == group].sum(axis=0) for group in range(len(names))])
            # All patterns are made, so that no random number is drawn.
            p[tested] = sign_flip_p(sums[:, tested[varies]], flips, np.random.default_rng(0))
        else:
            r, free = correlation[tested], effective[tested] - 2
            with np.errstate(divide="ignore"):
                p[tested] = 2 * stdtr(free, -np.abs(r) * np.sqrt(free / (1 - r**2)))
    return {"correlation": correlation, "effective": effective, "p": p, "n_groups": n_groups}


def swapped(contrast: np.ndarray, units: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The contrast with right and wrong answers of about every second unit swapped, by chance.

    Parameters
    ----------
    contrast
        (prompt,) float64, logits.
    units
        (prompt,) labels: prompts of one are swapped together.
    rng
        Seeded generator.
    """
    names, place = np.unique(units, return_inverse=True)
    signs: np.ndarray = rng.choice([-1.0, 1.0], size=len(names))[place]
    return contrast * signs


def most_important(correlation: np.ndarray, p: np.ndarray, n: int) -> np.ndarray:
    """Rows of the n features of the largest correlation by size, of those that were tested."""
    rows = np.flatnonzero(~np.isnan(p))
    first: np.ndarray = rows[np.argsort(-np.abs(correlation[rows]), kind="stable")[:n]]
    return first
