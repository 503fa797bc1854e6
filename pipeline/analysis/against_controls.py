"""Is it this feature, or would any like it do? An effect's place among those of matched features.

Controls are matched on each prompt by themselves, so that one of them may stand beside a feature on all
prompts or on one. A feature does alike on many prompts, and so does a control: to draw a control for each
prompt anew would compare a consistent feature with means that noise has evened out, and call every third one
special. Here a control is what it is: one feature, with its mean over the prompts where it is one.
"""

from typing import Final

import numpy as np

NONE: Final = -1
"""In place of a control's index: none."""
# Means over situations are rounded: those that nearly reach the observed one count as reaching it.
_SLACK: Final = 1e-9


def rank_p(effect: np.ndarray, controls: np.ndarray, index: np.ndarray, situation: np.ndarray) -> float:
    """Two-sided p-value of a feature's mean effect over situations, among its controls.

    (1 + controls with as large a mean effect) / (1 + controls), of all features that are a control on any
    prompt, each with its mean over the prompts where it is one. Where the controls are the same on all
    prompts that is exact; a control of one prompt alone has the noise of one, so that p is rather too large.

    Parameters
    ----------
    effect
        (prompt,) float64, logits; prompts without a control are left out.
    controls, index
        (prompt, control) float64 effects, and the controls' features; `NONE` where fewer match.
    situation
        (prompt,) int.

    Returns
    -------
    float
        NaN where no prompt has a control.
    """
    features = np.unique(index[index != NONE])
    if not len(features):
        return float("nan")
    beside = (index != NONE).any(axis=1)
    own = abs(_over_situations(effect[beside], situation[beside])) * (1 - _SLACK)
    count = 0
    for feature in features.tolist():
        rows, columns = np.nonzero(index == feature)
        count += abs(_over_situations(controls[rows, columns], situation[rows])) >= own
    return (1 + count) / (1 + len(features))


def share_as_extreme(effect: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """(1 + controls with as large an effect, of either sign) / (1 + controls); NaN without any.

    Parameters
    ----------
    effect, controls
        (...) and (..., control) float64; NaN where fewer match.
    """
    n = np.isfinite(controls).sum(axis=-1)
    count = (np.abs(controls) >= np.abs(effect)[..., None]).sum(axis=-1)
    found: np.ndarray = np.where(n > 0, (1 + count) / (1 + n), np.nan)
    return found


def mean_of_controls(controls: np.ndarray, acts: np.ndarray, situation: np.ndarray) -> np.ndarray:
    """Mean effect of a trial's controls, over the same situations as its own: 0 where it does not act.

    A mean over those prompts alone where it acts would stand beside an effect that counts the others, too.

    Parameters
    ----------
    controls
        (trial, prompt, control) float64 effects, logits; NaN where fewer match.
    acts
        (trial, prompt) bool: whether there is anything to change.
    situation
        (prompt,) int.

    Returns
    -------
    numpy.ndarray
        (trial,) float64; prompts on which it acts and none matches are left out, NaN where that is all.
    """
    n = np.isfinite(controls).sum(axis=2)
    means = np.divide(np.nansum(controls, axis=2), n, out=np.full(acts.shape, np.nan), where=n > 0)
    means[~acts] = 0.0
    found = np.full(len(controls), np.nan)
    for row in np.flatnonzero((acts & (n > 0)).any(axis=1)):
        known = np.isfinite(means[row])
        found[row] = _over_situations(means[row, known], situation[known])
    return found


def _over_situations(values: np.ndarray, situation: np.ndarray) -> float:
    """Mean over situations of the means of their prompts."""
    n = np.bincount(situation)
    there = n > 0
    return float((np.bincount(situation, values)[there] / n[there]).mean())
