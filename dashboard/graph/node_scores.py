"""What a node does to the targets: its scores, for one token or evil against safe ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from dashboard.style.node_names import Words
from dashboard.style.text import number
from dashboard.style.theme import LABEL_GLYPHS
from store.base.errors import NotInStoreError
from store.views.graph import GraphView

SCORES: Final[Mapping[str, str]] = {
    "direct": "Direct effect A[target, node] on the target's centred logit, signed; logits.",
    "influence": "Signed influence along all paths, [(I - N)^-1 - I][target, node], where N is A with each "
    "row divided by its sum of absolute values; dimensionless. Known for selected features.",
    "total effect": "Direct effects composed along all paths through active features of the local "
    "replacement model, D (I - M)^-1; logits. Known for selected features. Ablating the node is predicted to "
    "change the logit by minus this.",
}
"""Names of a node's scores, in order, each with its definition."""

EVIL_SAFE: Final = "evil minus safe"
LIMIT: Final = 3
"""Single tokens whose scores a hovered node lists, beside evil against safe."""


@dataclass(frozen=True, kw_only=True)
class Contrasts:
    """What scores are read on: evil against safe, then each target.

    Attributes
    ----------
    names
        In words; the first is `EVIL_SAFE` where both labels are among the targets.
    tokens
        Token ids of the targets.
    weights
        Of each target; (contrast, target) float64.
    """

    names: list[str]
    tokens: list[int]
    weights: np.ndarray

    def first(self, n: int) -> "Contrasts":
        """The first `n` of them."""
        return Contrasts(names=self.names[:n], tokens=self.tokens, weights=self.weights[:n])

    def on(self, tokens: np.ndarray) -> np.ndarray:
        """Weights of another graph's targets, 0 of those that are unknown here; (contrast, target)."""
        place = {token: index for index, token in enumerate(self.tokens)}
        padded = np.pad(self.weights, ((0, 0), (0, 1)))
        return padded[:, [place.get(int(token), -1) for token in tokens]]


def contrasts_on(tokens: np.ndarray, rank: np.ndarray, words: Words) -> Contrasts:
    """Contrasts of some targets: mean over evil minus mean over safe ones, then single ones.

    Parameters
    ----------
    tokens
        Their token ids; (target,).
    rank
        Single targets come in descending order of it; (target,).
    words
        Texts and labels.
    """
    ids = [int(token) for token in tokens]
    labels = np.array([words.labels.get(token, "unlabelled") for token in ids])
    order = np.argsort(-rank, kind="stable")
    names = [f"{LABEL_GLYPHS[str(labels[row])]} {words.of(ids[row])}" for row in order]
    weights = np.eye(len(ids))[order]
    evil, safe = labels == "evil", labels == "safe"
    if evil.any() and safe.any():
        names.insert(0, EVIL_SAFE)
        weights = np.vstack([evil / evil.sum() - safe / safe.sum(), weights])
    return Contrasts(names=names, tokens=ids, weights=weights)


def contrasts(view: GraphView, words: Words) -> Contrasts:
    """Contrasts of a graph's targets, the most probable ones first."""
    arrays = view.item.arrays
    return contrasts_on(arrays["target_token"], arrays["target_probability"], words)


def node_scores(view: GraphView, asked: Contrasts) -> np.ndarray:
    """Scores of every stored node, then of every adapter node.

    Returns
    -------
    numpy.ndarray
        (node + adapter, contrast, score) float64, scores in the order of `SCORES`. NaN where a
        node has none: errors, tokens and logits; adapter nodes have `direct` only, as have
        graphs of artifacts that knew no other.
    """
    arrays = view.item.arrays
    weights = asked.on(arrays["target_token"])
    n_nodes = len(arrays["node_kind"])
    try:
        adapters = weights @ view.adapter_direct.astype(np.float64)
        along_paths = [view.influence, view.total_effect]
    except NotInStoreError:
        adapters, along_paths = np.zeros((len(weights), 0)), []
    out = np.full((n_nodes + adapters.shape[1], len(weights), len(SCORES)), np.nan)
    out[n_nodes:, :, 0] = adapters.T
    rows, active = _active_of_nodes(arrays)
    out[rows, :, 0] = (weights @ view.direct[:, active].astype(np.float64)).T
    column = np.cumsum(arrays["active_selected"]) - 1
    for place, score in enumerate(along_paths, start=1):
        out[rows, :, place] = (weights @ score[:, column[active]].astype(np.float64)).T
    return out


def _active_of_nodes(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the feature nodes, and which active feature node each is."""
    rows = np.flatnonzero(arrays["node_kind"] == 0)

    def keys(prefix: str, chosen: np.ndarray | slice) -> np.ndarray:
        layer, position, feature = (
            arrays[f"{prefix}_{name}"][chosen].astype(np.int64) for name in ("layer", "position", "feature")
        )
        return np.asarray((layer << 52) | (position << 32) | feature)

    everywhere = keys("active", slice(None))
    order = np.argsort(everywhere)
    return rows, order[np.searchsorted(everywhere, keys("node", rows), sorter=order)]


def table(names: list[str], scores: np.ndarray) -> list[list[str]]:
    """A node's scores in words, for its description: one row a contrast; empty where it has none.

    Parameters
    ----------
    names
        Of the contrasts.
    scores
        (contrast, score), NaN: none.
    """
    if not np.isfinite(scores).any():
        return []
    return [
        [name, *(number(float(value), sign=True) for value in row)]
        for name, row in zip(names, scores, strict=True)
    ]


def change_table(names: list[str], left: np.ndarray, right: np.ndarray) -> list[list[str]]:
    """The same of two variants, ``left → right``."""
    if not (np.isfinite(left).any() or np.isfinite(right).any()):
        return []
    written = [
        [f"{number(float(a), sign=True)} → {number(float(b), sign=True)}" for a, b in zip(*rows, strict=True)]
        for rows in zip(left, right, strict=True)
    ]
    return [[name, *row] for name, row in zip(names, written, strict=True)]
