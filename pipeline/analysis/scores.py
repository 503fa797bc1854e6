"""What every active feature of one prompt does: its scores, evil against safe, and its activation."""

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from pipeline.analysis.evil_safe import evil_minus_safe, has_both, target_labels
from pipeline.text.lexicon import Lexicon, token_label
from store.collections.item import Item
from store.documents.prompts import Prompt

LABELLED: Final = ("direct", "influence", "total_effect")
"""Scores for a logit, which need evil and safe targets; arrays of GRAPHS."""

READ: Final = (
    "target_token",
    "active_layer",
    "active_feature",
    "active_selected",
    "target_error_share",
    *LABELLED,
)
"""The arrays of a graph that the ranking reads; its edges, which are most of it, it does not."""


@dataclass(frozen=True, kw_only=True)
class PromptScores:
    """One score of one prompt and variant.

    Attributes
    ----------
    prompt_hash, variant
        Whose they are.
    targets
        The target set's token ids, sorted: scores compare on one set only. Empty for
        activations, which have no targets.
    scored
        Whether the targets hold an evil and a safe token; without both there is no score.
        Activations need no labels and are always scored.
    keys
        (feature,) int64, sorted and unique `feature_key` of every active feature.
    values
        (feature,) float64, in the score's unit, summed over positions. NaN where not scored,
        and where it is missing: the feature is active at a position at which it was not
        selected. A feature absent from `keys` is inactive and counts as 0.
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


def prompt_scores(item: Item, prompt: Prompt, lexicon: Lexicon) -> dict[str, PromptScores]:
    """Score every active feature of one graph, evil against safe targets.

    Each score is the mean over evil targets minus the mean over safe ones, summed over the
    feature's positions.

    Parameters
    ----------
    item
        Of the GRAPHS collection, with the arrays `READ`.
    prompt
        The item's.
    lexicon
        Labels of token ids by domain; a token that it does not name is neither evil nor safe.

    Returns
    -------
    dict
        By name of `LABELLED`: `direct` and `total_effect` in logits, `influence`
        dimensionless. `direct` is known for every active feature; the others for selected
        ones, and the sum over positions is missing where one of its terms is.
    """
    if item.prompt_hash != prompt.hash:
        raise ValueError(f"the graph of {item.prompt_hash} is not of prompt {prompt.hash}")
    arrays = item.arrays
    targets = arrays["target_token"]
    labels = target_labels(targets, partial(token_label, lexicon, prompt.domain))
    scored = has_both(labels)
    keys, place = np.unique(
        feature_key(arrays["active_layer"], arrays["active_feature"]), return_inverse=True
    )
    selected = arrays["active_selected"]

    def summed(name: str) -> np.ndarray:
        if not scored:
            return np.full(len(keys), np.nan)
        values = arrays[name].astype(np.float64)  # (target, active), or (target, selected)
        difference = evil_minus_safe(values, labels)
        if name == "direct":
            by_node = difference
        else:
            by_node = np.full(len(selected), np.nan)  # not selected is not 0
            by_node[selected] = difference
        return np.bincount(place, weights=by_node, minlength=len(keys))

    return {
        name: PromptScores(
            prompt_hash=item.prompt_hash,
            variant=item.variant,
            targets=tuple(sorted(int(token) for token in targets)),
            scored=scored,
            keys=keys,
            values=summed(name),
        )
        for name in LABELLED
    }


def activation_scores(item: Item) -> PromptScores:
    """Sum of every feature's activation over the positions of one prompt.

    The definition is chosen for the difference of two variants, which read the same
    tokens: the sum says how much more of the feature there is, whether it is stronger where
    it was or active in more places. It needs no labels. BOS, which is zeroed by policy,
    adds nothing.

    Parameters
    ----------
    item
        Of the ACTIVATIONS collection, which holds every active feature: none is missing.
    """
    keys, place = np.unique(feature_key(item.arrays["layer"], item.arrays["feature"]), return_inverse=True)
    weights = item.arrays["value"].astype(np.float64)
    return PromptScores(
        prompt_hash=item.prompt_hash,
        variant=item.variant,
        targets=(),
        scored=True,
        keys=keys,
        values=np.bincount(place, weights=weights, minlength=len(keys)),
    )
