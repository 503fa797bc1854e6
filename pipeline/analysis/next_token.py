"""Next-token distributions before and after an intervention, beside those of random controls."""

from collections.abc import Mapping, Sequence
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


def most_probable(sides: Sequence[np.ndarray], limit: int) -> list[int]:
    """Ids of the tokens that are most probable on any side, (token,) each; the most probable first."""
    best = np.argsort(-np.max(np.stack(list(sides)), axis=0), kind="stable")
    return [int(token) for token in best[:limit]]


def distribution_table(
    before: np.ndarray,
    after: np.ndarray,
    controls: np.ndarray,
    limit: int,
    other: np.ndarray | None = None,
) -> pd.DataFrame:
    """All sides and the controls' band, of the most probable tokens on any side.

    Parameters
    ----------
    before, after
        (token,) probabilities.
    controls
        (control, token) probabilities.
    limit
        At most so many tokens.
    other
        (token,) probabilities of another variant, unsteered; None: there is none.

    Returns
    -------
    pd.DataFrame
        Columns token, side (before, other, after), probability, low and high (the controls' band;
        NaN where they are too few, and on all sides but after); the tokens in order, most
        probable first.
    """
    lies = band(controls)
    beside = [] if other is None else [other]
    rows = []
    for token in most_probable([before, after, *beside], limit):
        low, high = (np.nan, np.nan) if lies is None else (float(end[token]) for end in lies)
        rows += [
            {"token": token, "side": "before", "probability": float(before[token])},
            *({"token": token, "side": "other", "probability": float(one[token])} for one in beside),
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


def watched_table(sides: Mapping[str, np.ndarray], tokens: Sequence[int]) -> pd.DataFrame:
    """Some tokens on every side: how probable each is, its place among all, and its centred logit.

    Parameters
    ----------
    sides
        (token,) logits at one position, by name; ``before`` and ``after`` among them.
    tokens
        Ids of those that are watched.

    Returns
    -------
    pd.DataFrame
        A row a token: ``token``, and by side ``probability_<side>``, ``logit_<side>``, the logit minus the
        mean over the vocabulary, and ``rank_<side>``, its place from 1, which tokens as probable share;
        ``flip`` says whether its centred logit has another sign after than before.
    """
    chosen = list(tokens)
    columns: dict[str, np.ndarray] = {"token": np.array(chosen, np.int64)}
    for side, logits in sides.items():
        wide = logits.astype(np.float64)
        columns[f"probability_{side}"] = np.exp(log_softmax(wide))[chosen]
        columns[f"rank_{side}"] = 1 + (wide[None] > wide[chosen][:, None]).sum(axis=1)
        columns[f"logit_{side}"] = wide[chosen] - wide.mean()
    columns["flip"] = columns["logit_before"] * columns["logit_after"] < 0
    return pd.DataFrame(columns)


def dose_table(
    strengths: Sequence[float], steered: np.ndarray, controls: np.ndarray, tokens: Sequence[int]
) -> pd.DataFrame:
    """Probability on some tokens together at several strengths of a setting, and the controls' band at each.

    Parameters
    ----------
    strengths
        (strength,).
    steered
        (strength, token) probabilities.
    controls
        (strength, control, token) probabilities under matched settings at the same strengths.
    tokens
        Ids of those that count.

    Returns
    -------
    pd.DataFrame
        Columns strength, probability, low and high (NaN where there are too few controls).
    """
    chosen = list(tokens)
    rows = []
    for strength, own, like in zip(strengths, steered, controls, strict=True):
        lies = band(like[:, chosen].sum(axis=1))
        low, high = (np.nan, np.nan) if lies is None else (float(end) for end in lies)
        rows.append({"strength": strength, "probability": float(own[chosen].sum()), "low": low, "high": high})
    return pd.DataFrame(rows, columns=["strength", "probability", "low", "high"])
