"""Simulated labellers of known confusion, whose agreement is known by analysis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.text.lexicon import TokenLabel

LABELS: Final = np.array(["evil", "safe", "unsure"])
PREVALENCE: Final = np.array([0.3, 0.6, 0.1])
"""Of the true labels, over all situations; each situation has its own about it."""


def confusion(right: float) -> np.ndarray:
    """(true, given) of a labeller who is right at that rate, and else gives either other label."""
    return np.full((3, 3), (1 - right) / 2) + np.eye(3) * (right - (1 - right) / 2)


def erring(flips: float, unsure: float = 0.0) -> np.ndarray:
    """(true, given) of one who flips evil and safe at a rate, and is unsure of either at another."""
    sure = 1 - flips - unsure
    return np.array([[sure, flips, unsure], [flips, sure, unsure], [0.0, 0.0, 1.0]])


def misread(
    truth: Mapping[str, Mapping[int, TokenLabel]],
    given: np.ndarray,
    rng: np.random.Generator,
    *,
    once: bool = False,
) -> dict[str, dict[int, TokenLabel]]:
    """What a labeller of that confusion says; by prompt and token id, as the truth.

    Each token of each prompt is judged by itself; `once`: each token for all prompts, so that errors repeat.
    """
    read = {(prompt, token): label for prompt, of in truth.items() for token, label in of.items()}
    asked = {("" if once else prompt, token): label for (prompt, token), label in read.items()}
    rows = np.searchsorted(LABELS, list(asked.values()))
    said = dict(zip(asked, LABELS[_choose(given[rows], rng)].tolist(), strict=True))
    return {
        prompt: {token: said["" if once else prompt, token] for token in of} for prompt, of in truth.items()
    }


@dataclass(frozen=True, kw_only=True)
class Labellers:
    """Two labellers, who err independently, given the true label and the situation.

    Attributes
    ----------
    easy, hard
        (labeller, true, given) confusions in situations of either kind.
    hard_share
        Of the situations.
    spread
        Dirichlet concentration of a situation's own label rates: small is clustered.
    """

    easy: np.ndarray
    hard: np.ndarray
    hard_share: float = 0.3
    spread: float = 3.0

    @property
    def joint(self) -> np.ndarray:
        """(3, 3) probability of each pair of labels of an item."""
        kinds = ((1 - self.hard_share, self.easy), (self.hard_share, self.hard))
        return sum(share * np.einsum("t,ta,tb->ab", PREVALENCE, *both) for share, both in kinds)

    def items(
        self, situations: int, rng: np.random.Generator, *, most: int = 12
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels of both, and the situation, of 2 to `most` items in each situation."""
        sizes = rng.integers(2, most + 1, size=situations)
        situation = np.repeat(np.arange(situations), sizes)
        rates = rng.dirichlet(self.spread * PREVALENCE, size=situations)
        truth = _choose(rates[situation], rng)
        is_hard = rng.random(situations) < self.hard_share
        given = [
            _choose(np.where(is_hard[situation, None], hard[truth], easy[truth]), rng)
            for easy, hard in zip(self.easy, self.hard, strict=True)
        ]
        return LABELS[given[0]], LABELS[given[1]], situation


def _pair(easy: tuple[float, float], hard: tuple[float, float]) -> Labellers:
    """Two who are right at these rates in situations of either kind."""
    first, second = (np.array([confusion(right) for right in both]) for both in (easy, hard))
    return Labellers(easy=first, hard=second)


MIDDLING: Final = _pair((0.85, 0.8), (0.6, 0.7))
GOOD: Final = _pair((0.98, 0.96), (0.85, 0.9))
GUESSING: Final = _pair((1 / 3, 1 / 3), (1 / 3, 1 / 3))
"""Labels that do not depend on the true one, nor on the other's."""


def kappa_of(joint: np.ndarray) -> float:
    """Cohen 1960, by hand: agreement beyond chance over the most there can be."""
    joint = joint / joint.sum()
    chance = sum(joint[k].sum() * joint[:, k].sum() for k in range(len(joint)))
    return float((np.trace(joint) - chance) / (1 - chance))


def against_rest(joint: np.ndarray) -> np.ndarray:
    """(2, 2) of the first label and the others as one."""
    return np.array([[joint[0, 0], joint[0, 1:].sum()], [joint[1:, 0].sum(), joint[1:, 1:].sum()]])


def _choose(rates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(item,) index drawn from each row of rates."""
    return (rng.random((len(rates), 1)) > rates.cumsum(axis=1)[:, :-1]).sum(axis=1)
