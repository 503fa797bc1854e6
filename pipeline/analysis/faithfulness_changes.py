"""What is done on every situation, in log-odds, and shares of the difference with their intervals."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np

from pipeline.analysis.faithfulness import Measured, areas, by_situation, fractions, interval, log_odds
from pipeline.params.faithfulness import FaithfulnessParams
from store.schema.vocabulary import EXPERIMENTS, TAKEN

_BESIDE: Final = ("node_given", "node_taken", "nulls", "null_given")


class Changes:
    """Changes of log-odds toward the other variant, (situation, ...), and the whole differences.

    Attributes
    ----------
    base, adapted, difference
        (situation,) log-odds, and the adapted variant's minus base's.
    of
        By field of `Measured`, (situation, ...): toward the other variant.
    n
        Situations.
    """

    def __init__(self, prompts: Sequence[Measured], params: FaithfulnessParams, seed: int) -> None:
        self._interval = partial(
            interval, resamples=params.bootstrap, confidence=params.confidence, seed=seed
        )
        situations = [one.situation for one in prompts]
        odds = {
            name: by_situation([log_odds(getattr(one, name), one.evil) for one in prompts], situations)
            for name in ("base", "adapted", *EXPERIMENTS, "singles", "parts", *_BESIDE)
        }
        self.base, self.adapted = odds["base"], odds["adapted"]
        self.difference = self.adapted - self.base
        self.n = len(self.difference)
        self.of = {
            name: odds[name] - _like(self.base, odds[name]) for name in (*EXPERIMENTS, "singles", *_BESIDE)
        }
        for name in (TAKEN, "node_taken"):
            self.of[name] = _like(self.adapted, odds[name]) - odds[name]
        given, taken = odds["parts"][:, 0], odds["parts"][:, 1]
        self.of["parts"] = np.stack(
            [given - _like(self.base, given), _like(self.adapted, taken) - taken], axis=1
        )

    def mean(self, values: np.ndarray) -> tuple[float, float, float]:
        """Mean over situations, with its interval."""
        low, high = self._interval(lambda rows: values[rows].mean(axis=0), self.n)
        return float(values.mean()), float(low), float(high)

    def fraction(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """F of a change, with its interval."""
        return self.share(self.of[name])

    def share(self, change: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What (situation, ...) changes are of the difference, with its interval."""
        low, high = self._interval(lambda rows: fractions(change[rows], self.difference[rows]), self.n)
        return fractions(change, self.difference), low, high

    def area(self, change: np.ndarray, ks: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Area of (situation, order, k) changes, with its interval; (order,) each."""

        def statistic(rows: np.ndarray) -> np.ndarray:
            return areas(fractions(change[rows], self.difference[rows]), ks)

        low, high = self._interval(statistic, self.n)
        return statistic(np.arange(self.n)), low, high


def reason_of(n: int, total: tuple[float, float, float], params: FaithfulnessParams) -> str:
    """Why no share of a difference is known; empty: they are.

    Parameters
    ----------
    n
        Situations.
    total
        The difference, with its interval.
    """
    if n < params.min_situations:
        return f"{n} situations are too few: faithfulness.min_situations is {params.min_situations}"
    if not (total[1] > 0 or total[2] < 0):
        return "the adapter's change of the log-odds cannot be told from 0 on these situations"
    if total[2] < 0:
        return (
            "the adapter makes evil tokens less likely on these situations, and orders put first what makes "
            "them likelier"
        )
    return ""


def _like(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *([1] * (other.ndim - 1)))
