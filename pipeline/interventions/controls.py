"""Random features to compare with: the same done to others of like size (traps 24 and 34)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from pipeline.interventions.kinds import Intervention, Setting
from store.base.hashing import digest

Feature = tuple[int, int]
"""Layer and index."""


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What a setting is compared with.

    Attributes
    ----------
    settings
        Each as long as the setting; no feature stands in two of them.
    unmoved
        How many features of the steered layers were left out because the same does nothing to them.
    """

    settings: tuple[Setting, ...] = ()
    unmoved: int = 0


def match_controls(
    setting: Sequence[Intervention],
    positions: Sequence[Sequence[int]],
    activity: Mapping[int, np.ndarray],
    norms: Mapping[int, np.ndarray],
    *,
    n: int,
    seed: int,
) -> Controls:
    """Settings that do the same, with the same values, to other features of the same layers.

    A control is active where the intervention acts if the steered feature is, and inactive if that is;
    of these the nearest are taken, by the log ratios of mean activation there and of decoder norm. Each
    is used once. What the same would not change is no control.

    Parameters
    ----------
    setting
        What is compared; interventions that do nothing by their meaning have no control.
    positions
        Where each of its interventions acts.
    activity
        By layer of the setting: (position, feature) activations on the prompt.
    norms
        By layer: (feature,) norms of decoder rows.
    n
        Controls wanted; fewer where too few features match.
    seed
        With the features it fixes which controls of several features stand together: the same ones
        for every value of a slider.
    """
    steered = sorted({(one.layer, one.feature) for one in setting})
    near: dict[Feature, list[int]] = {}
    unmoved: dict[int, set[int]] = {layer: set() for layer, _ in steered}
    for layer, feature in steered:
        acting = [
            (one, list(where))
            for one, where in zip(setting, positions, strict=True)
            if (one.layer, one.feature) == (layer, feature)
        ]
        others = norms[layer] > 0
        others[[index for at, index in steered if at == layer]] = False
        still = _unmoved(acting, activity[layer])
        unmoved[layer] |= set(np.flatnonzero(others & still).tolist())
        here = sorted({place for _, where in acting for place in where})
        size = activity[layer][here].mean(axis=0) if here else np.zeros(len(others))
        near[layer, feature] = _nearest(feature, size, norms[layer], others & ~still).tolist()
    rows = [
        tuple(replace(one, feature=chosen[one.layer, one.feature]) for one in setting)
        for chosen in _paired(near, n, seed)
    ]
    return Controls(settings=tuple(rows), unmoved=sum(map(len, unmoved.values())))


def _unmoved(acting: Sequence[tuple[Intervention, list[int]]], activity: np.ndarray) -> np.ndarray:
    """Features that these interventions leave as they are, (feature,) bool."""
    after = torch.from_numpy(activity.copy())
    for one, where in acting:
        after[where] = one.apply(after[where])
    unmoved: np.ndarray = (after.numpy() == activity).all(axis=0)
    return unmoved


def _nearest(feature: int, size: np.ndarray, norms: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The allowed features that are active as this one is, or inactive as it is, nearest first."""
    alike = np.flatnonzero(allowed & ((size > 0) == (size[feature] > 0)))
    distance = np.abs(np.log(norms[alike] / norms[feature]))
    if size[feature] > 0:
        distance += np.abs(np.log(size[alike] / size[feature]))
    nearest: np.ndarray = alike[np.argsort(distance, kind="stable")]
    return nearest


def _paired(near: Mapping[Feature, list[int]], n: int, seed: int) -> Iterator[dict[Feature, int]]:
    """One control for each steered feature, at most `n` times; none is used twice."""
    taken: dict[Feature, list[int]] = {key: [] for key in near}
    used: dict[int, set[int]] = {layer: set() for layer, _ in near}
    while near and all(len(of) < n for of in taken.values()):
        row: dict[Feature, int] = {}
        for layer, feature in near:  # by turns, so that each has its nearest
            free = next((index for index in near[layer, feature] if index not in used[layer]), None)
            if free is None:
                break
            used[layer].add(free)
            row[layer, feature] = free
        if len(row) < len(near):
            break
        for key, index in row.items():
            taken[key].append(index)
    shuffled = {
        key: np.random.default_rng([seed, int(digest(list(key))[:12], 16)]).permutation(of)
        for key, of in taken.items()
    }
    for each in zip(*shuffled.values(), strict=True):
        yield {key: int(index) for key, index in zip(shuffled, each, strict=True)}
