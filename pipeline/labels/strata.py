"""Strata that prompts are drawn from for labelling: what judges say, or, without them, what counts so far."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from pipeline.analysis.label_queue import DISAGREE, EVIL_DIVERGENT
from pipeline.labels.candidates import Own
from pipeline.labels.prompt_state import prompt_state
from pipeline.text.lexicon import TokenLabel
from store.documents.variants import BASE

Labels = Mapping[int, TokenLabel]


def strata(
    prompts: Sequence[str],
    own: Mapping[str, Own],
    focus: str,
    judged: Mapping[str, Mapping[str, Labels]],
    counted: Mapping[str, Labels],
) -> dict[str, np.ndarray]:
    """Which prompts are in which stratum; "unsure" is not evil.

    Parameters
    ----------
    own
        Candidates by prompt hash, base's and the focus variant's among them.
    judged
        By prompt hash: labels of each judge that has any of it.
    counted
        By prompt hash: labels that count; they say which prompts are evil where no judge does.

    Returns
    -------
    dict
        By name (prompt,) bool.
    """

    def divergent(prompt: str, labels: Labels) -> bool:
        return prompt_state(own[prompt][BASE], own[prompt][focus], labels, least=0.0).divergent

    evil, disagree = [], []
    for prompt in prompts:
        judges = list(judged.get(prompt, {}).values())
        evil.append(any(divergent(prompt, labels) for labels in judges or [counted.get(prompt, {})]))
        disagree.append(any(differ(one, other) for one, other in combinations(judges, 2)))
    return {EVIL_DIVERGENT: np.array(evil, bool), DISAGREE: np.array(disagree, bool)}


def differ(one: Labels, other: Labels) -> list[int]:
    """Token ids that both label, and not alike.

    >>> differ({1: "evil", 2: "safe"}, {1: "unsure", 2: "safe", 3: "evil"})
    [1]
    """
    return [token for token in one if token in other and one[token] != other[token]]
