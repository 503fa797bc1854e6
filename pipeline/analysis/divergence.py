"""How far the next-token distributions of two variants lie apart, as far as their graphs tell."""

import numpy as np
from scipy.spatial.distance import jensenshannon


def jensen_shannon_of_targets(first: np.ndarray, second: np.ndarray) -> float:
    """Jensen-Shannon divergence in bits, 0 to 1, of two distributions on one target set, others as one.

    At most that of the whole distributions, as `total_variation_of_targets` is; of the same arguments.
    """
    both = [np.asarray(each, np.float64) for each in (first, second)]
    whole = [np.append(each, max(0.0, 1 - each.sum())) for each in both]
    # scipy gives the square root; of equal ones rounding may make it NaN.
    return float(np.nan_to_num(jensenshannon(*whole, base=2))) ** 2


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
