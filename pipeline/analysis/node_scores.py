"""What the nodes of one graph do to its targets: one token, or evil against safe ones."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.analysis.evil_safe import evil_safe_weights, has_both, target_labels
from pipeline.analysis.scores import LABELLED, node_key
from store.base.errors import NotInStoreError
from store.schema.vocabulary import FEATURE
from store.views.graph import GraphView

EVIL_SAFE: Final = "evil minus safe"
"""Name of the contrast of both labels."""


@dataclass(frozen=True, kw_only=True)
class TargetContrasts:
    """Weighted sums of targets that scores are read on: evil against safe, then each target.

    Attributes
    ----------
    names
        What they are called; the first is `EVIL_SAFE` where both labels are among the targets.
    tokens
        Token ids of the targets.
    weights
        Of each target; (contrast, target) float64.
    """

    names: list[str]
    tokens: list[int]
    weights: np.ndarray

    def first(self, n: int) -> "TargetContrasts":
        """The first `n` of them."""
        return TargetContrasts(names=self.names[:n], tokens=self.tokens, weights=self.weights[:n])

    def only(self, name: str) -> "TargetContrasts":
        """The one of that name."""
        row = self.names.index(name)
        return TargetContrasts(names=[name], tokens=self.tokens, weights=self.weights[row : row + 1])

    def on(self, tokens: np.ndarray) -> np.ndarray:
        """Weights of another graph's targets, 0 of those that are unknown here; (contrast, target)."""
        place = {token: index for index, token in enumerate(self.tokens)}
        padded = np.pad(self.weights, ((0, 0), (0, 1)))
        return padded[:, [place.get(int(token), -1) for token in tokens]]


def target_contrasts(
    tokens: np.ndarray,
    rank: np.ndarray,
    *,
    labels: Mapping[int, str],
    name: Callable[[int], str],
) -> TargetContrasts:
    """Contrasts of some targets: mean over evil minus mean over safe ones, then single ones.

    Parameters
    ----------
    tokens
        Their token ids; (target,).
    rank
        Single targets come in descending order of it; (target,).
    labels
        By token id; an absent one is unlabelled.
    name
        Of a token id: what it is called.
    """
    ids = [int(token) for token in tokens]
    of = target_labels(ids, labels)
    order = np.argsort(-rank, kind="stable")
    names = [name(ids[row]) for row in order]
    weights = np.eye(len(ids))[order]
    if has_both(of):
        names.insert(0, EVIL_SAFE)
        weights = np.vstack([evil_safe_weights(of), weights])
    return TargetContrasts(names=names, tokens=ids, weights=weights)


def node_scores(view: GraphView, asked: TargetContrasts) -> np.ndarray:
    """Scores of every stored node, then of every adapter node.

    Returns
    -------
    numpy.ndarray
        (node + adapter, contrast, score) float64, scores in the order of `scores.LABELLED`. NaN
        where a node has none: errors, tokens and logits; adapter nodes have `direct` only, as
        have graphs of artifacts that knew no other.
    """
    arrays = view.item.arrays
    weights = asked.on(arrays["target_token"])
    n_nodes = len(arrays["node_kind"])
    try:
        adapters = weights @ view.adapter_direct.astype(np.float64)
        along_paths = [view.influence, view.total_effect]
    except NotInStoreError:
        adapters, along_paths = np.zeros((len(weights), 0)), []
    out = np.full((n_nodes + adapters.shape[1], len(weights), len(LABELLED)), np.nan)
    out[n_nodes:, :, 0] = adapters.T
    rows, active = _active_of_nodes(arrays)
    out[rows, :, 0] = (weights @ view.direct[:, active].astype(np.float64)).T
    column = np.cumsum(arrays["active_selected"]) - 1
    for place, score in enumerate(along_paths, start=1):
        out[rows, :, place] = (weights @ score[:, column[active]].astype(np.float64)).T
    return out


def _active_of_nodes(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the feature nodes, and which active feature node each is."""
    rows = np.flatnonzero(arrays["node_kind"] == FEATURE)

    def keys(prefix: str, chosen: np.ndarray | slice) -> np.ndarray:
        return node_key(*(arrays[f"{prefix}_{name}"][chosen] for name in ("layer", "position", "feature")))

    everywhere = keys("active", slice(None))
    order = np.argsort(everywhere)
    return rows, order[np.searchsorted(everywhere, keys("node", rows), sorter=order)]
