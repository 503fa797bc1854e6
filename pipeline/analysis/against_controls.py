"""Is it this feature, or would any like it do? An effect's place among those of matched features.

Controls are matched on each prompt by themselves, so that one of them may stand beside a feature on all
prompts or on one. A feature does alike on many prompts, and so does a control: to draw a control for each
prompt anew would compare a consistent feature with means that noise has evened out, and call every third one
special. Here a control is compared as what it is, one feature, on the prompts where it is one.
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
    prompt, each held against the feature on the prompts where it is one. Where the controls are the same on
    all prompts that is exact.

    Parameters
    ----------
    effect
        (prompt,) float64, logits.
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
    count = 0
    for feature in features.tolist():
        rows, columns = np.nonzero(index == feature)
        own = abs(_over_situations(effect[rows], situation[rows]))
        count += abs(_over_situations(controls[rows, columns], situation[rows])) >= own * (1 - _SLACK)
    return (1 + count) / (1 + len(features)) if len(features) else float("nan")


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


def _over_situations(values: np.ndarray, situation: np.ndarray) -> float:
    """Mean over situations of the means of their prompts."""
    n = np.bincount(situation)
    there = n > 0
    return float((np.bincount(situation, values)[there] / n[there]).mean())
