"""What every active feature of one prompt does: its scores, evil against safe, and its activation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.evil_safe import evil_minus_safe, has_both, target_labels
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.documents.prompts import Prompt

LABELLED: Final = ("direct", "influence", "total_effect")
"""Scores of one variant for a logit, which need evil and safe targets; arrays of GRAPHS."""

_NODES: Final = (
    "target_token",
    "active_layer",
    "active_position",
    "active_feature",
    "active_value",
    "active_selected",
)
READ: Final = (
    *_NODES,
    "target_error_share",
    "target_unselected_share",
    *LABELLED,
    "unselected_influence",
    "unselected_total_effect",
)
"""The arrays of a graph that the ranking reads; its edges, which are most of it, it does not."""


def read_of(score: str) -> tuple[str, ...]:
    """Those of `READ` that one score of `LABELLED`, or `change`, is made of."""
    if score in ("direct", "change"):
        return (*_NODES, "direct")
    return (*_NODES, score, f"unselected_{score}")


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
        (feature,) int64, sorted and unique `feature_key` of every active feature. One that is
        absent is inactive and counts as 0.
    values
        (feature,) float64, in the score's unit, summed over positions; NaN where not scored.
    tokens, evil
        (labelled target,) ids of the evil and safe targets, and which of them are evil.
    by_token
        (labelled target, feature) float64: the same score for each of them.
    """

    prompt_hash: str
    variant: str
    targets: tuple[int, ...]
    scored: bool
    keys: np.ndarray
    values: np.ndarray
    tokens: np.ndarray
    evil: np.ndarray
    by_token: np.ndarray


def feature_key(layer: np.ndarray, index: np.ndarray) -> np.ndarray:
    """One sortable int64 for (layer, feature index): never a node's row, which is another
    feature in every graph."""
    return layer.astype(np.int64) << 32 | index.astype(np.int64)


def node_key(layer: np.ndarray, position: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """One sortable int64 for a feature node."""
    key: np.ndarray = (
        (layer.astype(np.int64) << 52) | (position.astype(np.int64) << 32) | feature.astype(np.int64)
    )
    return key


def split_key(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Layer (int16) and feature index (int32) of feature keys."""
    return (keys >> 32).astype(np.int16), (keys & 0xFFFFFFFF).astype(np.int32)


def unlabelled_scores(prompt_hash: str, variant: str, keys: np.ndarray, values: np.ndarray) -> PromptScores:
    """A score that needs no labels: sorted keys, and the value of each."""
    return PromptScores(
        prompt_hash=prompt_hash,
        variant=variant,
        targets=(),
        scored=True,
        keys=keys,
        values=values,
        tokens=np.empty(0, np.int64),
        evil=np.empty(0, bool),
        by_token=np.empty((0, len(keys))),
    )


def prompt_scores(item: Item, prompt: Prompt, labels: TokenLabels) -> dict[str, PromptScores]:
    """Score every active feature of one graph, evil against safe targets.

    Each score is the mean over evil targets minus the mean over safe ones, summed over the
    feature's positions.

    Parameters
    ----------
    item
        Of the GRAPHS collection, with the arrays `READ`.
    prompt
        The item's.
    labels
        Those that count; an unlabelled token is neither evil nor safe.

    Returns
    -------
    dict
        By name of `LABELLED`: `direct` and `total_effect` in logits, `influence` dimensionless. That
        of a feature that is no node of the graph is its influence as a source.
    """
    return {name: labelled_score(item, prompt, labels, name) for name in LABELLED}


def labelled_score(item: Item, prompt: Prompt, labels: TokenLabels, name: str) -> PromptScores:
    """One of `prompt_scores`."""
    arrays = item.arrays
    keys = feature_key(arrays["active_layer"], arrays["active_feature"])
    return _evil_against_safe(item, prompt, labels, keys, _of_active(arrays, name))


def change_scores(base: Item, adapted: Item, prompt: Prompt, labels: TokenLabels) -> PromptScores:
    """What the adapter's change of each feature does: change of activation times direct effect.

    A node's direct effect by unit of its activation is read in the adapted model, and in the base where
    it is active there only; times adapted minus base activation, summed over positions. It is 0
    where no activation changed, whatever else did (trap 32), and minus what setting the feature to the
    base's value is predicted to do.

    Parameters
    ----------
    base, adapted
        Items of the GRAPHS collection of one prompt, with the arrays `READ`.

    Raises
    ------
    ValueError
        They were traced on different targets.
    """
    of_base, of_adapted = (item.arrays["target_token"] for item in (base, adapted))
    if not np.array_equal(np.sort(of_base), np.sort(of_adapted)):
        raise ValueError(
            f"base and {adapted.variant} were traced on different targets of prompt {prompt.hash}"
        )
    before, after = (_nodes(item.arrays) for item in (base, adapted))
    value = adapted.arrays["active_value"].astype(np.float64)
    was = _values_at(after, before, base.arrays["active_value"].astype(np.float64))
    kept = adapted.arrays["direct"].astype(np.float64) * (1 - was / value)
    gone = ~np.isin(before, after)
    # The base's targets in the adapted item's order.
    order = np.argsort(of_base)[np.argsort(np.argsort(of_adapted))]
    lost = -base.arrays["direct"].astype(np.float64)[order][:, gone]
    keys = [
        feature_key(item.arrays["active_layer"], item.arrays["active_feature"]) for item in (adapted, base)
    ]
    return _evil_against_safe(
        adapted, prompt, labels, np.concatenate([keys[0], keys[1][gone]]), np.hstack([kept, lost])
    )


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
    values = np.bincount(place, weights=weights, minlength=len(keys))
    return unlabelled_scores(item.prompt_hash, item.variant, keys, values)


def _evil_against_safe(
    item: Item, prompt: Prompt, labels: TokenLabels, keys: np.ndarray, values: np.ndarray
) -> PromptScores:
    """Scores of nodes, (target, node), summed over what has the same key, (node,)."""
    if item.prompt_hash != prompt.hash:
        raise ValueError(f"the graph of {item.prompt_hash} is not of prompt {prompt.hash}")
    targets = item.arrays["target_token"]
    of = target_labels(targets, labels.of(prompt.hash, prompt.domain))
    labelled = np.flatnonzero((of == "evil") | (of == "safe"))
    unique, place = np.unique(keys, return_inverse=True)
    by_token = np.array(
        [np.bincount(place, weights=values[row], minlength=len(unique)) for row in labelled]
    ).reshape(len(labelled), len(unique))
    scored = has_both(of)
    return PromptScores(
        prompt_hash=item.prompt_hash,
        variant=item.variant,
        targets=tuple(sorted(int(token) for token in targets)),
        scored=scored,
        keys=unique,
        values=evil_minus_safe(by_token, of[labelled]) if scored else np.full(len(unique), np.nan),
        tokens=targets[labelled].astype(np.int64),
        evil=of[labelled] == "evil",
        by_token=by_token,
    )


def _of_active(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A score of `LABELLED` of every active feature node: (target, active) float64."""
    if name == "direct":
        return arrays[name].astype(np.float64)
    selected = arrays["active_selected"]
    values = np.empty((len(arrays["target_token"]), len(selected)))
    values[:, selected] = arrays[name]
    values[:, ~selected] = arrays[f"unselected_{name}"]
    return values


def _nodes(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    return node_key(*(arrays[f"active_{name}"] for name in ("layer", "position", "feature")))


def _values_at(wanted: np.ndarray, nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of the wanted nodes, 0 of those that are not among `nodes`."""
    found = np.zeros(len(wanted))
    _, here, there = np.intersect1d(wanted, nodes, assume_unique=True, return_indices=True)
    found[here] = values[there]
    return found
