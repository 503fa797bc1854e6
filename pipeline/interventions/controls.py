"""Random features to compare with: the same done to others of like size (trap 24)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from pipeline.interventions.kinds import Intervention
from store.base.hashing import digest

# Drawn from the nearest so many times n features: near enough to match, enough to vary.
_POOL: Final = 4


def match_controls(
    interventions: Sequence[Intervention],
    activity: dict[tuple[int, int], np.ndarray],
    norms: dict[int, np.ndarray],
    *,
    n: int,
    seed: int,
) -> tuple[tuple[Intervention, ...], ...]:
    """Settings that do the same, with the same values, to random features of the same layer.

    A control feature matches by two sizes: its mean activation where the intervention acts, and
    the norm of its decoder row; it is drawn at random from the nearest by the sum of both
    log ratios. An inactive feature is matched with inactive ones. Multiplying is compared
    with active features only, because it does nothing to the others.

    Parameters
    ----------
    interventions
        The setting.
    activity
        By (layer, feature) of the setting: (feature,) mean activation of every feature of
        that layer where the interventions on this feature act.
    norms
        By layer: (feature,) norms of decoder rows.
    n
        Controls wanted; fewer where too few features match.
    seed
        With the features it fixes the draw: the same controls for every value of a slider.

    Returns
    -------
    tuple of settings
        Each as long as `interventions`; none where nothing matches.
    """
    steered = sorted({(one.layer, one.feature) for one in interventions})
    pools: dict[tuple[int, int], np.ndarray] = {}
    for layer, feature in steered:
        active_only = any(
            one.mode == "multiply" and (one.layer, one.feature) == (layer, feature) for one in interventions
        )
        taken = [index for at, index in steered if at == layer]
        near = _nearest(feature, taken, activity[layer, feature], norms[layer], active_only, _POOL * n)
        rng = np.random.default_rng([seed, int(digest([layer, feature])[:12], 16)])
        pools[layer, feature] = rng.permutation(near)
    n_rows = min(n, max((len(pool) for pool in pools.values()), default=0))
    if any(len(pool) == 0 for pool in pools.values()):
        return ()
    settings = []
    for row in range(n_rows):
        control = _row(pools, row)
        if control is not None:
            settings.append(
                tuple(replace(one, feature=control[one.layer, one.feature]) for one in interventions)
            )
    return tuple(settings)


def _nearest(
    feature: int,
    taken: list[int],
    activity: np.ndarray,
    norms: np.ndarray,
    active_only: bool,
    n: int,
) -> np.ndarray:
    allowed = norms > 0
    allowed[taken] = False
    if active_only:
        allowed &= activity > 0
    candidates = np.flatnonzero(allowed)
    # Keeps the ratio finite for inactive features, and any active one far from them.
    small = 1e-3 * max(float(activity.max(initial=0.0)), 1e-6)
    size = np.log(np.maximum(activity, 0) + small)
    norm = np.log(np.maximum(norms, np.finfo(np.float32).tiny))
    distance = np.abs(size - size[feature]) + np.abs(norm - norm[feature])
    return candidates[np.argsort(distance[candidates], kind="stable")[:n]]


def _row(pools: dict[tuple[int, int], np.ndarray], row: int) -> dict[tuple[int, int], int] | None:
    """One control for each steered feature, none twice; None where they run out."""
    chosen: dict[tuple[int, int], int] = {}
    for (layer, feature), pool in pools.items():
        used = {control for (at, _), control in chosen.items() if at == layer}
        ordered = np.roll(pool, -(row % len(pool)))
        free = next((int(index) for index in ordered if int(index) not in used), None)
        if free is None:
            return None
        chosen[layer, feature] = free
    return chosen
