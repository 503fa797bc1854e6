"""Parts of what a recipe does: feature by feature, each alone, all but each, and the first of an order."""

from collections.abc import Sequence
from typing import Final

from pipeline.interventions.kinds import Intervention, Setting

NO_FEATURE: Final = -1
"""In place of a direction's feature."""

Member = tuple[int, int]
"""Layer and index of what a recipe turns; the index of a direction is `NO_FEATURE`."""


def members(setting: Setting) -> list[tuple[Member, Setting]]:
    """What a setting turns, in its order: every feature with all its steps, and every direction."""
    found: dict[tuple[int, int, int], list[int]] = {}
    for row, step in enumerate(setting):
        is_feature = isinstance(step, Intervention)
        feature = step.feature if isinstance(step, Intervention) else NO_FEATURE
        found.setdefault((step.layer, feature, 0 if is_feature else row), []).append(row)
    return [
        ((layer, feature), tuple(setting[row] for row in rows)) for (layer, feature, _), rows in found.items()
    ]


def part(setting: Setting, chosen: Sequence[int]) -> Setting:
    """What some of a setting's members do, steps in their order; `chosen` are their places."""
    own = members(setting)
    kept = [step for place in chosen for step in own[place][1]]
    # By identity: a recipe may have one step twice.
    return tuple(step for step in setting if any(step is each for each in kept))


def alone(setting: Setting) -> list[Setting]:
    """Each member by itself."""
    return [part(setting, [place]) for place in range(len(members(setting)))]


def without(setting: Setting) -> list[Setting]:
    """All members but each."""
    n = len(members(setting))
    return [part(setting, [other for other in range(n) if other != place]) for place in range(n)]


def firsts(setting: Setting, order: Sequence[int]) -> list[Setting]:
    """The first member of an order, the first two, and so on to all of them."""
    return [part(setting, order[:k]) for k in range(1, len(order) + 1)]
