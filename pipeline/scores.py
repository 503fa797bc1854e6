"""Evil against safe on one prompt: the `direct` score of every active feature."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.lexicon import token_label
from store.items import Item
from store.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class PromptScores:
    """Scores of one prompt and variant.

    Attributes
    ----------
    prompt_hash, variant
        Whose they are.
    targets
        The target set's token ids, sorted: scores compare on one set only.
    scored
        Whether the targets hold an evil and a safe token; without both there is no score.
    keys
        (feature,) int64, sorted and unique `feature_key` of every active feature.
    values
        (feature,) float64, logits: mean `direct` over evil targets minus mean over safe
        ones, summed over positions; NaN where not scored. A feature absent from `keys` is
        inactive and counts as 0.
    """

    prompt_hash: str
    variant: str
    targets: tuple[int, ...]
    scored: bool
    keys: np.ndarray
    values: np.ndarray


def feature_key(layer: np.ndarray, index: np.ndarray) -> np.ndarray:
    """One sortable int64 for (layer, feature index): never a node's row, which is another
    feature in every graph."""
    return layer.astype(np.int64) << 32 | index.astype(np.int64)


def split_key(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Layer (int16) and feature index (int32) of feature keys."""
    return (keys >> 32).astype(np.int16), (keys & 0xFFFFFFFF).astype(np.int32)


def prompt_scores(item: Item, prompt: Prompt, lexicon: dict[str, Any]) -> PromptScores:
    """Score every active feature of one graph, evil against safe targets."""
    if item.prompt_hash != prompt.hash:
        raise ValueError(f"the graph of {item.prompt_hash} is not of prompt {prompt.hash}")
    arrays = item.arrays
    targets = arrays["target_token"]
    labels = np.array([token_label(lexicon, prompt.domain, int(token)) for token in targets], dtype="U10")
    evil, safe = labels == "evil", labels == "safe"
    scored = bool(evil.any() and safe.any())
    keys, place = np.unique(
        feature_key(arrays["active_layer"], arrays["active_feature"]), return_inverse=True
    )
    if scored:
        direct = arrays["direct"].astype(np.float64)  # (target, active)
        by_node = direct[evil].mean(axis=0) - direct[safe].mean(axis=0)
        values = np.bincount(place, weights=by_node, minlength=len(keys))
    else:
        values = np.full(len(keys), np.nan)
    return PromptScores(
        prompt_hash=item.prompt_hash,
        variant=item.variant,
        targets=tuple(sorted(int(token) for token in targets)),
        scored=scored,
        keys=keys,
        values=values,
    )
