"""Random features to compare with: the same done to others of like size (traps 24 and 34)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.interventions.kinds import Intervention, Setting, Step
from store.base.hashing import digest

Feature = tuple[int, int]
"""Layer and index."""
NO_FEATURE: Final = -1
"""In place of the feature of a control, where a step is a direction."""


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
    setting: Sequence[Step],
    positions: Sequence[Sequence[int]],
    activity: Mapping[int, np.ndarray],
    norms: Mapping[int, np.ndarray],
    *,
    n: int,
    seed: int,
) -> Controls:
    """Settings that do the same, with the same values, to other features of the same layers, or directions.

    A control is active where the intervention acts if the steered feature is, and inactive if that is;
    of these the nearest are taken, by the log ratios of mean activation there and of decoder norm. Each
    is used once. What the same would not change is no control. A vector is compared with random
    directions of its length.

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
    features = [
        (one, list(where))
        for one, where in zip(setting, positions, strict=True)
        if isinstance(one, Intervention)
    ]
    steered = sorted({(one.layer, one.feature) for one, _ in features})
    near: dict[Feature, list[int]] = {}
    unmoved: dict[int, set[int]] = {layer: set() for layer, _ in steered}
    for layer, feature in steered:
        acting = [each for each in features if (each[0].layer, each[0].feature) == (layer, feature)]
        others = norms[layer] > 0
        others[[index for at, index in steered if at == layer]] = False
        still = _unmoved(acting, activity[layer])
        unmoved[layer] |= set(np.flatnonzero(others & still).tolist())
        here = sorted({place for _, where in acting for place in where})
        size = activity[layer][here].mean(axis=0) if here else np.zeros(len(others))
        near[layer, feature] = _nearest(feature, size, norms[layer], others & ~still).tolist()
    chosen: list[dict[Feature, int]] = list(_paired(near, n, seed)) if near else [{}] * n
    rows = [
        tuple(_like(one, of_row, [seed, number]) for one in setting) for number, of_row in enumerate(chosen)
    ]
    return Controls(settings=tuple(rows) if setting else (), unmoved=sum(map(len, unmoved.values())))


def _like(one: Step, chosen: Mapping[Feature, int], seed: list[int]) -> Step:
    """The same, done to the feature that was chosen, or along a random direction of the same length."""
    if isinstance(one, Intervention):
        return replace(one, feature=chosen[one.layer, one.feature])
    generator = np.random.default_rng([*seed, int(digest(list(one.direction))[:12], 16)])
    drawn = generator.standard_normal(len(one.direction))
    length = np.linalg.norm(one.direction) / np.linalg.norm(drawn)
    return replace(one, direction=tuple((drawn * length).tolist()))


def _unmoved(acting: Sequence[tuple[Intervention, list[int]]], activity: np.ndarray) -> np.ndarray:
    """Features that these interventions leave as they are, (feature,) bool."""
    after = activity.copy()
    for one, where in acting:
        after[where] = one.apply(after[where], np.array(where, np.int64))
    unmoved: np.ndarray = (after == activity).all(axis=0)
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
    while all(len(of) < n for of in taken.values()):
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


@dataclass(frozen=True, kw_only=True)
class Acting:
    """A setting on one prompt.

    Attributes
    ----------
    positions
        Where each of its steps acts.
    activity
        By layer of the setting: (position, feature) activations.
    """

    positions: Sequence[Sequence[int]]
    activity: Mapping[int, np.ndarray]


def match_over(
    setting: Sequence[Step], prompts: Iterable[Acting], norms: Mapping[int, np.ndarray], *, n: int, seed: int
) -> np.ndarray:
    """Features in place of a setting's, the same ones on all prompts: what is one setting has one control.

    As by `match_controls`, but the nearest are told by what features are where the setting acts on any of
    the prompts: by the log ratios of their share of active places, of mean activation and of decoder norm.
    A feature that the same would change on no prompt is none, and what acts on no prompt stays what it is.

    Parameters
    ----------
    setting
        What is compared.
    prompts
        Read one after the other; one is held at a time.
    norms, n, seed
        As of `match_controls`.

    Returns
    -------
    numpy.ndarray
        (control, step) int32 for `same_done_to`; `NO_FEATURE` where the step is a direction. No control
        where the setting acts nowhere.
    """
    steered = sorted({(one.layer, one.feature) for one in setting if isinstance(one, Intervention)})
    size, share = ({key: np.zeros(len(norms[key[0]])) for key in steered} for _ in range(2))
    still = {key: np.ones(len(norms[key[0]]), bool) for key in steered}
    acts, acting_on = False, set()
    for prompt in prompts:
        acts |= any(map(len, prompt.positions))
        for key in steered:
            activity = prompt.activity[key[0]]
            acting = [
                (one, list(where))
                for one, where in zip(setting, prompt.positions, strict=True)
                if isinstance(one, Intervention) and (one.layer, one.feature) == key
            ]
            places = sorted({place for _, where in acting for place in where})
            own = activity[places]
            if places:
                acting_on.add(key)
            size[key] += np.abs(own, dtype=np.float64).sum(axis=0)
            share[key] += (own != 0).sum(axis=0)
            still[key] &= _unmoved(acting, activity)
    near = {}
    for layer, feature in sorted(acting_on):
        own, often, norm = size[layer, feature], share[layer, feature], norms[layer]
        allowed = (norm > 0) & ~still[layer, feature] & ((own > 0) == (own[feature] > 0))
        allowed[[index for at, index in steered if at == layer]] = False
        alike = np.flatnonzero(allowed)
        distance = np.abs(np.log(norm[alike] / norm[feature]))
        for each in (own, often) if own[feature] > 0 else ():
            distance += np.abs(np.log(each[alike] / each[feature]))
        near[layer, feature] = alike[np.argsort(distance, kind="stable")].tolist()
    chosen: list[dict[Feature, int]] = []
    if acts:
        chosen = list(_paired(near, n, seed)) if near else [{}] * n
    rows = [
        [
            row.get((one.layer, one.feature), one.feature) if isinstance(one, Intervention) else NO_FEATURE
            for one in setting
        ]
        for row in chosen
    ]
    return np.array(rows, np.int32).reshape(len(rows), len(setting))


def same_done_to(setting: Sequence[Step], features: np.ndarray, seed: int) -> list[Setting]:
    """A setting done to others, (control, step) of `match_over`; random directions in place of its own."""
    found = []
    for number, row in enumerate(features.tolist()):
        steps = zip(setting, row, strict=True)
        found.append(
            tuple(
                _like(
                    one,
                    {(one.layer, one.feature): other} if isinstance(one, Intervention) else {},
                    [seed, number],
                )
                for one, other in steps
            )
        )
    return found
