"""Marks dealt anew within pools, as many in each as before: every way there is, or random ones."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Dealt:
    """What was dealt.

    Attributes
    ----------
    blocks
        (way, unit) bool marks, some ways at a time.
    n
        How many ways in all.
    exact
        Whether they are all that there are, the true one among them.
    """

    blocks: Iterator[np.ndarray]
    n: int
    exact: bool

    def p(self, count: np.ndarray) -> np.ndarray:
        """p-values, if so many ways are at least as extreme as the true marks.

        Their share; of random ones (1 + count) / (1 + n), which is never 0 (Phipson & Smyth 2010).
        """
        found: np.ndarray = count / self.n if self.exact else (1 + count) / (1 + self.n)
        return found


def deal(
    marks: np.ndarray, pools: Sequence[np.ndarray], draws: int, rng: np.random.Generator, *, step: int
) -> Dealt:
    """Deal marks anew within pools.

    Parameters
    ----------
    marks
        (unit,) bool.
    pools
        Units of each pool; those in none have no mark.
    draws
        Random ways, where there are more ways than that.
    rng
        Seeded generator.
    step
        Ways in a block; another step deals the same.
    """
    n_ways = math.prod(math.comb(len(pool), int(marks[pool].sum())) for pool in pools)
    if n_ways <= draws:
        return Dealt(blocks=_every(marks, pools, step), n=n_ways, exact=True)
    return Dealt(blocks=_random(marks, pools, draws, step, rng), n=draws, exact=False)


def _every(marks: np.ndarray, pools: Sequence[np.ndarray], step: int) -> Iterator[np.ndarray]:
    ways = product(*(list(combinations(pool, int(marks[pool].sum()))) for pool in pools))
    block: list[np.ndarray] = []
    for way in ways:
        dealt = np.zeros(len(marks), bool)
        dealt[[place for chosen in way for place in chosen]] = True
        block.append(dealt)
        if len(block) == step:
            yield np.array(block)
            block = []
    if block:
        yield np.array(block)


def _random(
    marks: np.ndarray, pools: Sequence[np.ndarray], draws: int, step: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    # Drawn all at once, so that a smaller block changes nothing.
    dealt = np.zeros((draws, len(marks)), bool)
    for pool in pools:
        dealt[:, pool] = rng.permuted(np.broadcast_to(marks[pool], (draws, len(pool))), axis=1)
    for start in range(0, draws, step):
        yield dealt[start : start + step]
