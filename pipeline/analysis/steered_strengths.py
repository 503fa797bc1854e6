"""The largest strength that leaves a model coherent, by bisection between two strengths, in equal ratios.

A step's verdict is that of all its answers, asked for in parts: most steps are told by the first ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb, nan, sqrt
from typing import NamedTuple


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


class Look(NamedTuple):
    """When a step of the bisection ends early.

    Attributes
    ----------
    answers
        How many have been asked for by then.
    no, yes
        It ends if at most `no`, or at least `yes`, of them are coherent; no count is as small as -1, and
        none as large as `answers` + 1.
    """

    answers: int
    no: int
    yes: int

    def tells(self, judged: int, coherent: int) -> bool:
        """Whether the step ends, once some answers were judged; one without a score counts as what would not
        end it."""
        return coherent >= self.yes or coherent + self.answers - judged <= self.no


def looks_of(answers: int, least: float, shares: Sequence[float], doubt: float) -> list[Look]:
    """When a step may end, with which verdict: whether `least` of all its answers are coherent.

    The first n of N answers in an order drawn at random have a hypergeometric number of coherent ones. A look
    ends a step where so few (or many) would be as improbable as `doubt`, shared out equally among the looks
    before the last, were the verdict of all answers the other one. So, whatever the answers are, a step ends
    with another verdict than that of all of them with a probability of at most `doubt`: the looks' chances
    added up, which is the most that they are together. That is where the count lies next to `least`; farther
    from it much less.

    Parameters
    ----------
    answers
        All of a step, N.
    least
        Share that must be coherent.
    shares
        Of the answers, ascending and below 1, after which a step may end.
    doubt
        Probability of another verdict, in (0, 0.5).

    Returns
    -------
    list of Look
        The last is after all answers, and always tells.
    """
    enough = next(count for count in range(answers + 1) if count / answers >= least)
    early = sorted({round(answers * share) for share in shares} - {0, answers})
    looks = []
    for n in early:
        # The nearest counts of all answers with the other verdict bound all others.
        few = [
            k for k in range(n + 1) if k / n < least and _at_most(k, n, enough, answers) <= doubt / len(early)
        ]
        many = [
            k
            for k in range(n + 1)
            if k / n >= least and 1 - _at_most(k - 1, n, enough - 1, answers) <= doubt / len(early)
        ]
        looks.append(Look(answers=n, no=max(few, default=-1), yes=min(many, default=n + 1)))
    return [*looks, Look(answers=answers, no=enough - 1, yes=0)]


def _at_most(most: int, drawn: int, coherent: int, answers: int) -> float:
    """Probability that at most so many of the answers drawn are coherent, where of all `coherent` are."""
    ways = sum(comb(coherent, k) * comb(answers - coherent, drawn - k) for k in range(most + 1))
    return ways / comb(answers, drawn)
