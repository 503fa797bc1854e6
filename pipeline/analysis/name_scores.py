"""Does a feature's name tell where it fires? Balanced accuracy, beside that of another feature's name.

After detection scoring (Paulo et al. 2024, arXiv 2410.13928): whoever knows only the name says of contexts
that the namer has not seen whether the feature fires in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from pipeline.analysis.intervals import exact_interval

CHANCE: Final = 0.5
"""Balanced accuracy of who knows nothing."""


@dataclass(frozen=True, kw_only=True)
class NameScore:
    """Balanced accuracy with its exact interval; NaN where nothing was asked."""

    balanced_accuracy: float = np.nan
    low: float = np.nan
    high: float = np.nan


NOT_SCORED: Final = NameScore()


def name_score(fires: Sequence[bool], said: Sequence[bool], confidence: float) -> NameScore:
    """Score what was said of contexts, in half of which the feature fires.

    With as many of either, balanced accuracy, the mean of the shares that are right of the firing and of the
    silent ones, is the share that is right of all, and has the interval of a proportion. Contexts count as
    independent: those of few templates are less than that, and the interval is then too narrow.

    Parameters
    ----------
    fires, said
        (context,) the truth, and what was predicted.
    confidence
        Of the interval, as 0.95.

    Raises
    ------
    ValueError
        There are not as many of either.
    """
    truth, predicted = np.asarray(fires, bool), np.asarray(said, bool)
    if truth.shape != predicted.shape or 2 * int(truth.sum()) != len(truth):
        raise ValueError("as many contexts in which it fires as others are needed")
    if not len(truth):
        return NOT_SCORED
    right = int((truth == predicted).sum())
    low, high = exact_interval(right, len(truth), confidence)
    return NameScore(balanced_accuracy=right / len(truth), low=low, high=high)


def beats_control(low: np.ndarray, shuffled: np.ndarray) -> np.ndarray:
    """Whether a name says something of its feature, by the lower end of its score's interval.

    It must lie above what another feature's name reaches on the same contexts, and above chance, which few
    contexts may leave that below. Of names that say nothing, at most one in forty does at a confidence of
    0.95. NaN: no.
    """
    return (low > CHANCE) & (low > shuffled)


def other_names(names: Sequence[str], seed: int) -> list[int]:
    """Whose name each is asked with as a control: the next in a drawn order that has another one.

    The order is of the places, not of the names: one name that changes, changes few controls.

    Parameters
    ----------
    names
        (feature,) empty where there is none.
    seed
        Of the order.

    Returns
    -------
    list of int
        (feature,) the place of the other; -1 where it has no name, or all have the same.
    """
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    named = [place for place in order if names[place]]
    chosen = [-1] * len(names)
    # Around the circle twice, from the back: the next that differs is known before it is asked for.
    circle = named + named
    following = -1
    for place, after in reversed(list(pairwise(circle))):
        if names[after].casefold() != names[place].casefold():
            following = after
        chosen[place] = following
    return chosen
