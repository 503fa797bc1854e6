"""Evil against safe: how the labels of a graph's targets weigh what is known of each target."""

from collections.abc import Iterable, Mapping

import numpy as np


def target_labels(tokens: Iterable[int], labels: Mapping[int, str]) -> np.ndarray:
    """Labels of token ids: (target,) text, one of evil, safe, unsure and (those absent) unlabelled."""
    return np.array([labels.get(int(token), "unlabelled") for token in tokens], dtype="U10")


def has_both(labels: np.ndarray) -> bool:
    """Whether an evil and a safe target are among them; without both there is no contrast."""
    return bool((labels == "evil").any() and (labels == "safe").any())


def evil_minus_safe(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over evil targets minus mean over safe ones.

    Parameters
    ----------
    values
        (target, ...) float64.
    labels
        (target,) from `target_labels`; both labels must be among them (`has_both`).
    """
    difference: np.ndarray = values[labels == "evil"].mean(axis=0) - values[labels == "safe"].mean(axis=0)
    return difference


def evil_safe_weights(labels: np.ndarray) -> np.ndarray:
    """`evil_minus_safe` as weights of the targets, for sums over other graphs' targets; (target,) float64."""
    evil, safe = labels == "evil", labels == "safe"
    weights: np.ndarray = evil / evil.sum() - safe / safe.sum()
    return weights


def label_mass(probability: np.ndarray, labels: np.ndarray, label: str) -> float:
    """Probability of all targets of a label together; 0 where there is none.

    Parameters
    ----------
    probability
        (target,) of any float dtype; summed in float64.
    labels
        (target,) from `target_labels`.
    """
    return float(probability.astype(np.float64)[labels == label].sum())
