"""What a feature does on the prompts: mean activation, frequency, number of prompts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.scores import feature_key
from store.collections.item import Item


@dataclass(frozen=True, kw_only=True)
class PromptActivity:
    """Activity of one variant's features over the prompts that it was run on.

    Attributes
    ----------
    variant
        Whose activations.
    keys
        (feature,) sorted `feature_key` of the features active on a prompt.
    total, n_tokens, n_prompts
        (feature,) sum of activations, tokens and prompts on which it is active.
    tokens
        Tokens of all prompts, without the positions zeroed by policy (BOS).
    """

    variant: str
    keys: np.ndarray
    total: np.ndarray
    n_tokens: np.ndarray
    n_prompts: np.ndarray
    tokens: int


def prompt_activity(activations: Iterable[Item]) -> list[PromptActivity]:
    """Sum the items of the ACTIVATIONS collection, by variant (base first)."""
    parts: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    tokens: dict[str, int] = {}
    for item in activations:
        keys, place, count = np.unique(
            feature_key(item.arrays["layer"], item.arrays["feature"]),
            return_inverse=True,
            return_counts=True,
        )
        values = item.arrays["value"].astype(np.float64)
        total = np.bincount(place, weights=values, minlength=len(keys))
        parts.setdefault(item.variant, []).append((keys, total, count))
        n_tokens = int(item.scalars["n_positions"]) - int(item.scalars["zeroed_positions"])
        tokens[item.variant] = tokens.get(item.variant, 0) + n_tokens
    return [
        _merge(variant, parts[variant], tokens[variant])
        for variant in sorted(parts, key=lambda variant: (variant != "base", variant))
    ]


def _merge(
    variant: str,
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    tokens: int,
) -> PromptActivity:
    keys, place, n_prompts = np.unique(
        np.concatenate([part[0] for part in parts]), return_inverse=True, return_counts=True
    )

    def summed(which: int) -> np.ndarray:
        weights = np.concatenate([part[which] for part in parts])
        return np.bincount(place, weights=weights, minlength=len(keys))

    return PromptActivity(
        variant=variant,
        keys=keys,
        total=summed(1),
        n_tokens=summed(2),
        n_prompts=n_prompts,
        tokens=tokens,
    )
