"""Next-token distributions before and after an intervention, beside those of random controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

FEWEST: Final = 19
"""Controls that it takes for a band of 90%."""


@dataclass(frozen=True, kw_only=True)
class Mass:
    """Probability on some tokens together: before, after, and what the controls come to.

    Attributes
    ----------
    before, after
        Without and with what is done.
    low, high
        The band of the controls; NaN where there are too few.
    p
        How often a control changes it as much; NaN without any.
    """

    before: float
    after: float
    low: float
    high: float
    p: float


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in float32 or wider: bfloat16 gives steps of 0.125 (trap 18)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    normalised: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def band(values: np.ndarray, share: float = 0.9) -> tuple[np.ndarray, np.ndarray] | None:
    """An interval that holds a further draw like the controls at least so often; None for too few of them.

    Of n controls and one more of their kind every order is as likely: it lies between the k-th smallest and
    the k-th largest with probability 1 - 2 k / (n + 1). The largest k that keeps `share` is taken; for 90%
    it takes `FEWEST` controls.

    Parameters
    ----------
    values
        (control, ...): a number or an array of each control.
    share
        Below 1.
    """
    n = len(values)
    k = int((n + 1) * (1 - share) / 2 + 1e-9)
    if k < 1:
        return None
    ordered = np.sort(values, axis=0)
    return ordered[k - 1], ordered[n - k]


def empirical_p(effect: float, controls: np.ndarray) -> float:
    """How often an effect as large, either way, comes of a control: (1 + count) / (1 + n), never 0.

    NaN without controls (Phipson & Smyth 2010).
    """
    if len(controls) == 0:
        return float("nan")
    return float((1 + np.count_nonzero(np.abs(controls) >= abs(effect))) / (1 + len(controls)))


def distribution_table(
    before: np.ndarray, after: np.ndarray, controls: np.ndarray, limit: int
) -> pd.DataFrame:
    """Both sides and the controls' band, of the most probable tokens on either side.

    Parameters
    ----------
    before, after
        (token,) probabilities.
    controls
        (control, token) probabilities.
    limit
        At most so many tokens.

    Returns
    -------
    pd.DataFrame
        Columns token, side (before, after), probability, low and high (the controls' band;
        NaN where they are too few, and on the before side); two rows a token, most
        probable first.
    """
    lies = band(controls)
    best = np.argsort(-np.maximum(before, after), kind="stable")[:limit]
    rows = []
    for token in best.tolist():
        low, high = (np.nan, np.nan) if lies is None else (float(end[token]) for end in lies)
        rows += [
            {"token": token, "side": "before", "probability": float(before[token])},
            {"token": token, "side": "after", "probability": float(after[token]), "low": low, "high": high},
        ]
    return pd.DataFrame(rows, columns=["token", "side", "probability", "low", "high"])


def mass(before: np.ndarray, after: np.ndarray, controls: np.ndarray, tokens: Sequence[int]) -> Mass:
    """Probability on some tokens; arrays as for `distribution_table`."""
    chosen = list(tokens)
    start, end = float(before[chosen].sum()), float(after[chosen].sum())
    others = controls[:, chosen].sum(axis=1)
    lies = band(others)
    low, high = (np.nan, np.nan) if lies is None else (float(bound) for bound in lies)
    return Mass(before=start, after=end, low=low, high=high, p=empirical_p(end - start, others - start))
