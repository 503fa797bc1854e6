"""What a model says of its features, as the feature tables read it: contexts and promoted tokens."""

from dataclasses import dataclass

import numpy as np


def histogram_edges(low: float, high: float, bins: int) -> np.ndarray:
    """Log-spaced edges (bins + 1,) float32."""
    return np.geomspace(low, high, bins + 1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Contexts:
    """Strongest contexts of one variant's features in held-out text.

    Attributes
    ----------
    variant
        Whose activations.
    keys
        (feature,) sorted `feature_key` of every feature that fires anywhere.
    histogram
        (feature, bin) int32: tokens by non-zero activation; the outer bins take what lies
        beyond the edges.
    text, peak
        (feature, context) int32, strongest first: the text, and where in the window the
        peak is; text -1 where a feature fires in fewer texts.
    token, activation
        (feature, context, window) int32 token ids, -1 beyond the text, and float32.
    """

    variant: str
    keys: np.ndarray
    histogram: np.ndarray
    text: np.ndarray
    peak: np.ndarray
    token: np.ndarray
    activation: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """(feature, rank) token ids (int32) and centred logits (float32), strongest first."""

    promoted_token: np.ndarray
    promoted_logit: np.ndarray
    suppressed_token: np.ndarray
    suppressed_logit: np.ndarray
