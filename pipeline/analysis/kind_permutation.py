"""Do misaligned answers differ from aligned ones? Kinds exchanged within wordings, length taken out.

Under the null hypothesis a feature knows nothing of whether an answer is misaligned, once what was asked and
length are given: then the answers to one wording are exchangeable, and the kinds are dealt anew among them,
as many of each. Those to two wordings are not: one may be answered worse than the other, and attention
carries what was asked into every token of an answer. No answer is compared with one to another wording, so
that the test is clustered by construction, and exact but for the length. It is of these questions: that an
effect is consistent over questions is what the interval tells.

Length: misaligned answers may be shorter, and a feature that fires on so many tokens, however many there
are, has a mean in proportion to 1 / n, while the largest of n activations grows about as log n. So log n
and 1 / n are regressed out of each feature within wordings, one slope for all of them. What length and
kind explain alike is given to length, so that the test errs to the careful side.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from pipeline.analysis.dealing import deal

# Numbers of one block of a product; bounds memory at 16 MB in float32.
_BLOCK: Final = 1 << 22
# Sums are made in float32: those that nearly reach the observed one count as reaching it.
_SLACK: Final = 1e-5
# Lengths that vary less, and singular values below it, are rounding.
_NOTHING: Final = 1e-9
# Activations are stored in float32: what is left of one that is smaller than this share of it is rounding.
_STORED: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """Misaligned and aligned answers to wordings that have both.

    Attributes
    ----------
    misaligned
        (answer,) bool; the others are aligned.
    stratum
        (answer,) int64 from 0: which wording, of a question in one form.
    form
        (stratum,) int64 from 0: which question, in one form.
    question
        (stratum,) int64 from 0: the question's id.

    Wordings of a form are averaged first, then forms of a question, then questions.
    """

    misaligned: np.ndarray
    stratum: np.ndarray
    form: np.ndarray
    question: np.ndarray

    @property
    def n_questions(self) -> int:
        """Ids of questions."""
        return int(self.question.max(initial=-1)) + 1

    @cached_property
    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """(stratum,) misaligned and aligned answers."""
        n = np.bincount(self.stratum, minlength=len(self.question))
        n_misaligned = np.bincount(self.stratum[self.misaligned], minlength=len(self.question))
        return n_misaligned, n - n_misaligned

    @cached_property
    def member(self) -> np.ndarray:
        """(question, stratum) float64: its share in its question."""
        member = (self.question == np.arange(self.n_questions)[:, None]) / np.bincount(self.form)[self.form]
        shares: np.ndarray = member / member.sum(axis=1, keepdims=True)
        return shares

    @cached_property
    def weight(self) -> np.ndarray:
        """(stratum,) float64: its share in the mean over questions; they add up to 1."""
        weight: np.ndarray = self.member.mean(axis=0)
        return weight


def stratum_effects(values: np.ndarray, kinds: Kinds) -> np.ndarray:
    """Mean of misaligned minus mean of aligned answers: (answer, feature) to (stratum, feature)."""
    return _means(values, kinds, kinds.misaligned) - _means(values, kinds, ~kinds.misaligned)


def question_effects(of_strata: np.ndarray, kinds: Kinds) -> np.ndarray:
    """Mean over forms of means over wordings: (stratum, feature) to (question, feature)."""
    effects: np.ndarray = kinds.member @ of_strata
    return effects


def form_effects(of_strata: np.ndarray, kinds: Kinds) -> np.ndarray:
    """Mean over the wordings of a question in one form: (stratum, feature) to (form, feature)."""
    member = kinds.form == np.arange(kinds.form.max(initial=-1) + 1)[:, None]
    effects: np.ndarray = (member / member.sum(axis=1, keepdims=True)) @ of_strata
    return effects


def without_length(values: np.ndarray, n_tokens: np.ndarray, kinds: Kinds) -> np.ndarray:
    """What wording and length do not explain of each feature, (answer, feature) float64.

    Parameters
    ----------
    values
        (answer, feature) float64.
    n_tokens
        (answer,) length, at least 1.
    """
    n = n_tokens.astype(np.float64)
    lengths = _centred(np.stack([np.log(n), 1 / n], axis=1), kinds)
    size = np.sqrt((lengths**2).sum(axis=0))
    lengths = lengths[:, size > _NOTHING] / size[size > _NOTHING]
    directions, strength, _ = np.linalg.svd(lengths, full_matrices=False)
    directions = directions[:, strength > _NOTHING]
    centred = _centred(values, kinds)
    left: np.ndarray = centred - directions @ (directions.T @ centred)
    left[:, np.abs(left).max(axis=0, initial=0) <= _STORED * np.abs(values).max(axis=0, initial=0)] = 0.0
    return left


def permutation_sd(residual: np.ndarray, kinds: Kinds) -> np.ndarray:
    """Standard deviation of the mean effect over all ways to deal the kinds; (feature,) float64.

    In closed form: a difference of two means that part n values at random has the variance
    S^2 (1 / n_1 + 1 / n_2), S^2 with n - 1 (sampling without replacement).
    """
    n_misaligned, n_aligned = kinds.counts
    n = n_misaligned + n_aligned
    squares = _sums(_centred(residual, kinds) ** 2, kinds)  # (stratum, feature)
    spread = squares / (n - 1)[:, None] * (1 / n_misaligned + 1 / n_aligned)[:, None]
    sd: np.ndarray = np.sqrt((kinds.weight**2) @ spread)
    return sd


def permutation_p(residual: np.ndarray, kinds: Kinds, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Two-sided p-values of "kinds are exchangeable within wordings", by feature.

    All labellings are one product, in blocks. With m features tested, a single one's q is at least
    m / (1 + draws): many have to differ, or the draws to be many.

    Parameters
    ----------
    residual
        (answer, feature) float64, from `without_length`: its mean is 0 within each stratum.
    kinds
        Which answer is which.
    draws
        Random ways to deal them; all ways, if there are no more.
    rng
        Seeded generator; the same deals the same, whatever the features.
    """
    up, down = (kinds.weight / count for count in kinds.counts)
    # Within a stratum values add up to 0, so that those of aligned answers need no sum of their own.
    short = (residual * (up + down)[kinds.stratum, None]).astype(np.float32)
    observed = np.abs(kinds.misaligned @ short.astype(np.float64))
    bar = (observed - _SLACK * (observed + np.abs(short).max(axis=0, initial=0))).astype(np.float32)
    pools = [np.flatnonzero(kinds.stratum == stratum) for stratum in range(len(kinds.question))]
    n_answers, n_features = short.shape
    step = max(1, _BLOCK // max(1, n_answers, n_features))
    dealt = deal(kinds.misaligned, pools, draws, rng, step=step)
    count = np.zeros(n_features, np.int64)
    for block in dealt.blocks:
        sums = block.astype(np.float32) @ short
        count += (np.abs(sums, out=sums) >= bar).sum(axis=0)
    return dealt.p(count)


def _sums(values: np.ndarray, kinds: Kinds) -> np.ndarray:
    """(stratum, feature): sums over each stratum's answers."""
    return _indicator(kinds) @ values


def _means(values: np.ndarray, kinds: Kinds, chosen: np.ndarray) -> np.ndarray:
    of = _indicator(kinds) * chosen
    return (of @ values) / of.sum(axis=1, keepdims=True)


def _centred(values: np.ndarray, kinds: Kinds) -> np.ndarray:
    """Minus the mean within each stratum."""
    return values - _means(values, kinds, np.ones(len(values), bool))[kinds.stratum]


def _indicator(kinds: Kinds) -> np.ndarray:
    """(stratum, answer) float64: 1 where it is one of the stratum's."""
    return (kinds.stratum == np.arange(len(kinds.question))[:, None]).astype(np.float64)
