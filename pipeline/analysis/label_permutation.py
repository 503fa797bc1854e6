"""Is it harm? p-values by exchanging the evil and safe labels of a domain's tokens (trap 29).

All situations of a domain share its few candidate tokens, so that a feature which favours some of
them does so consistently, whatever their labels. Here the labels are dealt anew among the tokens of
each domain, as many evil ones as before, and every prompt is scored by the new labels: prompts that
then lack one of both labels are left out, as the true labels leave some out. An effect is a sum of
single tokens' effects, so that all labellings of a block are one product.
"""

import copy
from typing import Final

import numpy as np

from pipeline.analysis.contrasts import TokenEffects
from pipeline.analysis.dealing import deal

# Numbers of one block of a product; bounds memory at 16 MB in float32.
_BLOCK: Final = 1 << 22
# Dense effects (row x feature) at a time: 128 MB in float64, and half of it in float32.
_DENSE: Final = 1 << 24
# Sums are made in float32: those that nearly reach the observed one count as reaching it.
_SLACK: Final = 1e-5


def label_permutation_p(
    tokens: TokenEffects,
    inside: np.ndarray,
    features: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    *,
    hopeless: float = np.inf,
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
    hopeless
        Random labellings end for a feature as soon as its p is above this whatever those left would
        give; see `pipeline.analysis.statistics.sign_flip_p`.

    Returns
    -------
    numpy.ndarray
        (feature,) float64; 1 where no labelling differs.
    """
    rows = np.flatnonzero(inside[tokens.situation[tokens.prompt]])
    labels, unit = np.unique(tokens.unit[rows], return_inverse=True)
    evil, domain = tokens.evil[labels], tokens.domain[labels]
    prompts, prompt = np.unique(tokens.prompt[rows], return_inverse=True)
    _, situation = np.unique(tokens.situation[prompts], return_inverse=True)
    design = _Design(prompt=prompt, situation=situation, unit=unit)
    effect = tokens.effect[rows]
    width = max(1, _DENSE // max(1, len(rows)))
    parts = [features[start : start + width] for start in range(0, len(features), width)]
    # Each part is dealt the same.
    found = [
        _p(effect[:, part].toarray(), design, evil, domain, draws, copy.deepcopy(rng), hopeless)
        for part in parts
    ]
    return np.concatenate([np.empty(0), *found])


def _p(
    effects: np.ndarray,
    design: "_Design",
    evil: np.ndarray,
    domain: np.ndarray,
    draws: int,
    rng: np.random.Generator,
    hopeless: float,
) -> np.ndarray:
    """p-values of (row, feature) effects; labels by domain are dealt anew."""
    observed = np.abs(design.weights(evil[None])[0] @ effects)
    scale = np.abs(effects).max(axis=0, initial=0)
    bar = (observed - _SLACK * (observed + scale)).astype(np.float32)
    short = effects.astype(np.float32)
    pools = [np.flatnonzero(domain == name) for name in dict.fromkeys(domain)]
    step = max(1, _BLOCK // max(1, *effects.shape))
    dealt = deal(evil, pools, draws, rng, step=step)
    most = np.inf if dealt.exact else hopeless * (1 + draws) - 1
    p, count, drawn = np.ones(len(bar)), np.zeros(len(bar), np.int64), 0
    going = np.arange(len(bar))
    for block in dealt.blocks:
        sums = design.weights(block).astype(np.float32) @ short
        count += (np.abs(sums, out=sums) >= bar).sum(axis=0)
        drawn += len(block)
        if (over := count > most).any():
            p[going[over]] = (1 + count[over]) / (1 + drawn)
            going, count, bar, short = going[~over], count[~over], bar[~over], short[:, ~over]
            if not len(going):
                break
    p[going] = dealt.p(count)
    return p


class _Design:
    """Which rows are of which prompt, situation and label; each counted from 0."""

    def __init__(self, *, prompt: np.ndarray, situation: np.ndarray, unit: np.ndarray) -> None:
        self._unit, self._prompt, self._situation = unit, prompt, situation
        self._first = np.flatnonzero(np.diff(prompt, prepend=-1))
        self._length = np.bincount(prompt)
        self._of_situation = np.zeros((len(situation), int(situation.max(initial=-1)) + 1))
        self._of_situation[np.arange(len(situation)), situation] = 1

    def weights(self, evil: np.ndarray) -> np.ndarray:
        """What each row counts in the effect: (labelling, row) float64, of labels (labelling, label).

        The mean over evil minus the mean over safe tokens of a prompt, then over a situation's scored
        prompts, then over the situations that have one.
        """
        marks = evil[:, self._unit].astype(np.float64)  # (labelling, row)
        n_evil = np.add.reduceat(marks, self._first, axis=1) if marks.size else marks
        n_safe = self._length - n_evil
        scored = (n_evil > 0) & (n_safe > 0)  # (labelling, prompt)
        in_situation = scored.astype(np.float64) @ self._of_situation  # (labelling, situation)
        n_situations = (in_situation > 0).sum(axis=1, keepdims=True)
        size = in_situation[:, self._situation] * n_situations
        of_prompt = np.divide(1.0, size, out=np.zeros_like(size), where=scored)
        up = of_prompt / np.maximum(n_evil, 1)
        down = of_prompt / np.maximum(n_safe, 1)
        weights: np.ndarray = np.where(marks > 0, up[:, self._prompt], -down[:, self._prompt])
        return weights
