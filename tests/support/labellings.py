"""Labels dealt anew, by definition: every labelling one by one, an independent reference."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

Labels = dict[tuple[str, int], bool]
"""Whether a token of a domain is evil."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One prompt: its situation (within its domain), and (feature,) effects of its labelled tokens."""

    domain: str
    situation: str
    effects: Mapping[int, np.ndarray]


def labellings(labels: Labels) -> Iterator[Labels]:
    """Every way to deal the labels of each domain among its tokens, as many evil ones as before."""
    domains = sorted({domain for domain, _ in labels})
    ways = []
    for name in domains:
        tokens = [token for domain, token in labels if domain == name]
        n_evil = sum(labels[name, token] for token in tokens)
        ways.append([{(name, t): t in evil for t in tokens} for evil in combinations(tokens, n_evil)])
    for way in product(*ways):
        yield {token: is_evil for part in way for token, is_evil in part.items()}


def slow_effect(asked: Sequence[Asked], labels: Labels) -> np.ndarray:
    """(feature,) effect by definition: over tokens, a situation's prompts, then situations."""
    by_situation: dict[tuple[str, str], list[np.ndarray]] = {}
    for prompt in asked:
        evil = [x for token, x in prompt.effects.items() if labels[prompt.domain, token]]
        safe = [x for token, x in prompt.effects.items() if not labels[prompt.domain, token]]
        if evil and safe:
            value = np.mean(evil, axis=0) - np.mean(safe, axis=0)
            by_situation.setdefault((prompt.domain, prompt.situation), []).append(value)
    if not by_situation:
        return np.zeros(len(next(iter(asked[0].effects.values()))))
    return np.mean([np.mean(values, axis=0) for values in by_situation.values()], axis=0)


def slow_p(asked: Sequence[Asked], labels: Labels, slack: float = 1e-9) -> np.ndarray:
    """(feature,) share of all labellings with an effect at least as large, but for the slack."""
    present = {(prompt.domain, token) for prompt in asked for token in prompt.effects}
    labels = {token: is_evil for token, is_evil in labels.items() if token in present}
    observed = np.abs(slow_effect(asked, labels))
    as_large = [np.abs(slow_effect(asked, other)) >= observed - slack for other in labellings(labels)]
    return np.mean(as_large, axis=0)
