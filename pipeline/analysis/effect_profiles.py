"""Which features do alike: clusters of what trials do, prompt by prompt."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage


def clusters(effects: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Order and cluster of profiles by average linkage (Sokal & Michener 1958) of 1 - |cosine|.

    By the cosine of effects themselves, not of their deviations from a mean: doing nothing is the origin.
    Its sign is left out, so that features which do the opposite of each other on all prompts stand together.

    Parameters
    ----------
    effects
        (profile, prompt) float64, finite.
    n
        Clusters, at most.

    Returns
    -------
    order, cluster
        (profile,) int64 each: rows in the order of the tree's leaves; cluster from 1, in that order. 0: a
        profile of zeros, which is in none and stands last.
    """
    size = np.linalg.norm(effects, axis=1)
    there = np.flatnonzero(size > 0)
    still = np.flatnonzero(size == 0)
    found = np.zeros(len(effects), np.int64)
    if len(there) < 2:
        found[there] = 1
        return np.concatenate([there, still]), found
    unit = effects[there] / size[there, None]
    rows, columns = np.triu_indices(len(there), 1)
    distance = np.clip(1 - np.abs(unit @ unit.T)[rows, columns], 0.0, None)
    tree = linkage(distance, "average")
    leaves = leaves_list(tree)
    cut = fcluster(tree, n, "maxclust")
    in_order = list(dict.fromkeys(cut[leaves].tolist()))
    found[there] = [1 + in_order.index(one) for one in cut.tolist()]
    return np.concatenate([there[leaves], still]).astype(np.int64), found
