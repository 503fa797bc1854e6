"""Is it harm? p-values by exchanging the evil and safe labels of a domain's tokens (trap 29).

All situations of a domain share its few candidate tokens, so that a feature which favours some of
them does so consistently, whatever their labels. Here the labels are dealt anew among the tokens of
each domain, as many evil ones as before, and every prompt is scored by the new labels: prompts that
then lack one of both labels are left out, as the true labels leave some out. An effect is a sum of
single tokens' effects, so that all labellings of a block are one product.
"""

from typing import Any, Final

import numpy as np

from pipeline.analysis.contrasts import TokenEffects
from pipeline.analysis.dealing import deal
from pipeline.analysis.ending import count_draws

# Numbers of one block of a product; bounds memory at 16 MB in float32.
_BLOCK: Final = 1 << 22
# Dense effects (row x feature) at a time: 128 MB in float64, and half of it in float32.
_DENSE: Final = 1 << 24
# Weights that are made at a time, which stay in the processor's cache: 1 MB.
_CACHED: Final = 1 << 18
# Sums are made in float32: those that nearly reach the observed one count as reaching it.
_SLACK: Final = 1e-5


def label_permutation_p(
    tokens: TokenEffects,
    inside: np.ndarray,
    features: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    *,
    rate: float | None = None,
) -> np.ndarray:
    """Two-sided p-values of "evil and safe tokens do not differ", by feature.

    All labellings, if there are no more than `draws` of them: p is the share whose effect is at
    least as large. Else p = (1 + count) / (1 + draws) over random ones (Phipson & Smyth 2010).

    Parameters
    ----------
    tokens
        Of a contrast.
    inside
        (situation,) bool: which of all situations count.
    features
        Columns that are tested.
    draws
        Random labellings.
    rng
        Seeded generator.
    rate
        Random labellings end for features that Benjamini and Hochberg cannot find at this rate any more;
        see `pipeline.analysis.ending.count_draws`.

    Returns
    -------
    numpy.ndarray
        (feature,) float64; 1 where no labelling differs.
    """
    tokens = tokens.among(inside, features)
    design = _Design(prompt=tokens.prompt, situation=tokens.situation, unit=tokens.unit)
    width = max(1, _DENSE // max(1, len(tokens.prompt)))
    pools = [np.flatnonzero(tokens.domain == name) for name in dict.fromkeys(tokens.domain)]
    dealt = deal(tokens.evil, pools, draws, rng, step=draws)
    labellings = np.concatenate(list(dealt.blocks))
    observed = design.weights(tokens.evil[None])[0]

    def as_extreme(columns: np.ndarray, start: int, stop: int) -> np.ndarray:
        weights = design.short_weights(labellings[start:stop])
        found = [
            _as_extreme(tokens.effect[:, columns[at : at + width]].toarray(), observed, weights)
            for at in range(0, len(columns), width)
        ]
        return np.concatenate(found)

    count, drawn = count_draws(
        as_extreme,
        np.full(len(features), np.nan),
        dealt.n,
        rate=None if dealt.exact else rate,
        most=_DENSE // max(1, len(tokens.prompt)),
    )
    return dealt.p(count) if dealt.exact else (1 + count) / (1 + drawn)


def _as_extreme(effects: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """How many labellings' sums of (row, feature) effects are as large as the observed one; (feature,).

    `observed` and `weights` are what each row counts by the true labels, (row,) float64, and by others,
    (labelling, row) float32.
    """
    size = np.abs(observed @ effects)
    scale = np.abs(effects).max(axis=0, initial=0)
    bar = (size - _SLACK * (size + scale)).astype(np.float32)
    short = effects.astype(np.float32)
    count, step = np.zeros(len(bar), np.int64), max(1, _BLOCK // max(1, *effects.shape))
    for start in range(0, len(weights), step):
        sums = weights[start : start + step] @ short
        count += (np.abs(sums, out=sums) >= bar).sum(axis=0)
    return count


class _Design:
    """Which rows are of which prompt, situation and label; each counted from 0."""

    def __init__(self, *, prompt: np.ndarray, situation: np.ndarray, unit: np.ndarray) -> None:
        self._unit, self._prompt, self._situation = unit, prompt, situation
        self._first = np.flatnonzero(np.diff(prompt, prepend=-1))
        self._length = np.bincount(prompt)
        self._ordered = np.argsort(situation, kind="stable")  # prompts of a situation beside each other
        self._first_prompt = np.flatnonzero(np.diff(situation[self._ordered], prepend=-1))

    def weights(self, evil: np.ndarray, dtype: type[np.floating[Any]] = np.float64) -> np.ndarray:
        """What each row counts in the effect: (labelling, row) of `dtype`, of labels (labelling, label).

        The mean over evil minus the mean over safe tokens of a prompt, then over a situation's scored
        prompts, then over the situations that have one.
        """
        marks = evil[:, self._unit]  # (labelling, row)
        n_evil = _counts(marks, self._first)
        n_safe = self._length - n_evil
        scored = (n_evil > 0) & (n_safe > 0)  # (labelling, prompt)
        in_situation = _counts(scored[:, self._ordered], self._first_prompt)  # (labelling, situation)
        n_situations = (in_situation > 0).sum(axis=1, keepdims=True)
        size = in_situation[:, self._situation] * n_situations
        of_prompt = np.divide(1.0, size, out=np.zeros(size.shape), where=scored)
        # Rounded before they are given to rows, of which there are more than prompts.
        up, down = (
            np.repeat((of_prompt / np.maximum(n, 1)).astype(dtype), self._length, axis=1)
            for n in (n_evil, n_safe)
        )
        # A product, since which of the two a row gets is nothing that a processor foresees.
        is_evil = marks.astype(dtype)
        up *= is_evil
        down *= np.subtract(1, is_evil, out=is_evil)
        up -= down
        return up

    def short_weights(self, evil: np.ndarray) -> np.ndarray:
        """`weights`, some labellings at a time, in float32."""
        found = np.empty((len(evil), len(self._unit)), np.float32)
        step = max(1, _CACHED // max(1, len(self._unit)))
        for start in range(0, len(evil), step):
            found[start : start + step] = self.weights(evil[start : start + step], np.float32)
        return found


def _counts(marks: np.ndarray, first: np.ndarray) -> np.ndarray:
    """How many of each run of columns are true, (row, run) int32; a run begins at each of `first`."""
    return np.add.reduceat(marks, first, axis=1, dtype=np.int32) if marks.size else marks.astype(np.int32)
