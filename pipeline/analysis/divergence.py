"""How far the next-token distributions of two variants lie apart, as far as their graphs tell."""

import numpy as np


def total_variation_of_targets(first: np.ndarray, second: np.ndarray) -> float:
    """Total variation distance of two distributions on one target set, other tokens taken as one.

    Half the sum of absolute differences, 0 to 1. Taking tokens together can only bring
    distributions closer, so this is at most the distance of the whole distributions.

    Parameters
    ----------
    first, second
        (target,) probabilities of the same targets; summed in float64.
    """
    difference = first.astype(np.float64) - second.astype(np.float64)
    return float(np.abs(difference).sum() + abs(difference.sum())) / 2
