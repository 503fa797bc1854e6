"""Next-token distributions before and after an intervention, beside those of random controls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Mass:
    """Probability on some tokens together: before, after, and the band of the controls.

    `low` and `high` are NaN without controls.
    """

    before: float
    after: float
    low: float
    high: float


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, in float32 or wider: bfloat16 gives steps of 0.125 (trap 18)."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    normalised: np.ndarray = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def band(values: np.ndarray, share: float = 0.9) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the middle `share` of the controls lies; None without controls.

    Parameters
    ----------
    values
        (control, ...): a number or an array of each control.
    """
    if len(values) == 0:
        return None
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2], axis=0)
    return low, high


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
        Columns token, side (before, after), probability, low and high (middle 90% of the
        controls; NaN without controls, and on the before side); two rows a token, most
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
    lies = band(controls[:, chosen].sum(axis=1))
    low, high = (np.nan, np.nan) if lies is None else (float(end) for end in lies)
    return Mass(before=float(before[chosen].sum()), after=float(after[chosen].sum()), low=low, high=high)
