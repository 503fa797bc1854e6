"""The largest strength that leaves a model coherent, by bisection between two strengths, in equal ratios."""

from dataclasses import dataclass, replace
from math import nan, sqrt


@dataclass(frozen=True, kw_only=True)
class Bracket:
    """Where the largest coherent strength lies, as far as is known.

    Attributes
    ----------
    low, high
        Strengths, above 0. Once they were tried, answers are coherent at `low`, and not at `high`.
    found
        The largest strength at which enough answers were coherent; NaN: none yet.
    tried
        Strength and share of coherent answers of each step.
    """

    low: float
    high: float
    found: float = nan
    tried: tuple[tuple[float, float], ...] = ()

    @property
    def next(self) -> float:
        """The strength to try: as far from both ends, by its logarithm."""
        return sqrt(self.low * self.high)

    def after(self, share: float, least: float) -> "Bracket":
        """What is known once a `share` of the answers at `next` was coherent, and `least` is enough.

        A share that is not known (NaN) is not enough.
        """
        strength = self.next
        tried = (*self.tried, (strength, share))
        if share >= least:
            return replace(self, low=strength, found=strength, tried=tried)
        return replace(self, high=strength, tried=tried)
