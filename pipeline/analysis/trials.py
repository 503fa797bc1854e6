"""What is tried on which features and prompts: the experiments of the stage `interventions`, as descriptions.

Features are chosen on situations in which nothing is measured; a trial is what is done to one of
them, or to two, the same on every prompt and in both variants.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from pipeline.analysis.validation_sets import Situation, situation_of
from pipeline.params.interventions import InterventionParams
from store.documents.prompts import Prompt
from store.schema.vocabulary import (
    ABLATION,
    ALL_POSITIONS,
    DOSE_RESPONSE,
    FROZEN,
    IMPORTANCE,
    INHIBITION,
    INTERACTION,
    NOTHING,
    PATCHING,
    TOGETHER,
    TRANSFER,
)

Feature = tuple[int, int]
"""Layer and index."""

MEANING: Final[Mapping[str, str]] = {
    ABLATION: "the activation becomes 0 wherever the feature is active",
    INHIBITION: "it becomes minus itself (params.yaml: interventions.inhibition)",
    PATCHING: "it becomes what it is on a prompt of another domain, at the last tokens that both share",
    IMPORTANCE: "it becomes 0 at one position alone",
    DOSE_RESPONSE: "it is multiplied, to the extremes (interventions.factors)",
    TOGETHER: "two features are ablated at once",
    INTERACTION: "what ablating two at once does beyond the sum of both alone",
    TRANSFER: "it becomes what it is in the other variant: base gets adapted values, adapted gets base's",
}
"""Each experiment in words, in the order of `store.schema.vocabulary.CAUSAL`."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is done.

    Attributes
    ----------
    experiment
        One of `store.schema.vocabulary.CAUSAL`.
    features
        One, or two.
    frozen
        What stays as it is, one of `store.schema.vocabulary.FROZEN`.
    value
        How many times, where it counts.
    from_end
        Position from the prompt's end, 0 the last; `ALL_POSITIONS`: wherever the feature is active.
    """

    experiment: str
    features: tuple[Feature, ...]
    frozen: str = NOTHING
    value: float | None = None
    from_end: int = ALL_POSITIONS

    @property
    def factor(self) -> float | None:
        """What it multiplies every activation by; None where it is no multiple, or not everywhere."""
        factors = {ABLATION: 0.0, TOGETHER: 0.0}
        if self.experiment in factors:
            return factors[self.experiment]
        if self.value is None:
            return None
        return -self.value if self.experiment == INHIBITION else self.value


def make_trials(features: Sequence[Feature], params: InterventionParams) -> list[Trial]:
    """All trials of features, the first of which are tried in pairs, too."""
    found: list[Trial] = []
    for feature in features:
        one = (feature,)
        found += [Trial(experiment=ABLATION, features=one, frozen=frozen) for frozen in FROZEN]
        found.append(Trial(experiment=INHIBITION, features=one, value=params.inhibition))
        found.append(Trial(experiment=PATCHING, features=one))
        found += [
            Trial(experiment=IMPORTANCE, features=one, from_end=place) for place in range(params.positions)
        ]
        found += [Trial(experiment=DOSE_RESPONSE, features=one, value=factor) for factor in params.factors]
        found.append(Trial(experiment=TRANSFER, features=one))
    for pair in combinations(features[: params.pairs], 2):
        found += [Trial(experiment=experiment, features=pair) for experiment in (TOGETHER, INTERACTION)]
    return found


def first_in_turn(orders: Sequence[Sequence[int]], n: int) -> list[int]:
    """The first n of several orders, one of each in turn; one that stands in two counts once.

    >>> first_in_turn([[4, 7, 1], [7, 2]], 3)
    [4, 7, 2]
    """
    found: dict[int, None] = {}
    for place in range(max(map(len, orders), default=0)):
        for order in orders:
            if place < len(order) and len(found) < n:
                found[int(order[place])] = None
    return list(found)


def tried_situations(measured: set[Situation], n: int) -> set[Situation]:
    """So many situations, of every domain in turn, by name."""
    by_domain: dict[str, list[Situation]] = {}
    for of in sorted(measured):
        by_domain.setdefault(of[0], []).append(of)

    def in_turn() -> Iterator[Situation]:
        for place in range(max(map(len, by_domain.values()), default=0)):
            yield from (own[place] for own in by_domain.values() if place < len(own))

    return set(list(in_turn())[:n])


def partner(prompt: Prompt, prompts: Mapping[str, Prompt]) -> tuple[Prompt, int] | None:
    """The prompt whose values are patched into this one, and how many last tokens both share.

    It is of another domain, or else of another situation, and shares the longest ending, at least its last
    token: there, position by position, one token of both is the same. The first by hash where several do.
    """
    others = [other for other in prompts.values() if situation_of(other) != situation_of(prompt)]
    far = [other for other in others if other.domain != prompt.domain]
    for pool in (far, others):
        shared = {other.hash: shared_ending(prompt.token_ids, other.token_ids) for other in pool}
        best = min(shared, key=lambda name: (-shared[name], name), default=None)
        if best is not None and shared[best]:
            return prompts[best], shared[best]
    return None


def shared_ending(left: Sequence[int], right: Sequence[int]) -> int:
    """How many last tokens are the same.

    >>> shared_ending([1, 5, 6, 7], [1, 9, 6, 7])
    2
    """
    n = min(len(left), len(right))
    if n == 0:
        return 0
    same = np.asarray(left[-n:]) == np.asarray(right[-n:])
    return n if same.all() else int(np.argmin(same[::-1]))
