"""Nodes and edges of an attribution graph, and how influence flows along them: one pass, float64.

An edge always leads to a higher level (layer), so the series A + A^2 + ... ends, and one sweep
down the levels gives its exact sum; circuit-tracer (``circuit_tracer/graph.py``:
``compute_influence``) iterates until float32 reaches zero.

Works on any list of edges: a whole graph, or the part of it that an artifact keeps.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

SMALLEST_SUM: Final = 1e-10
"""Sums that are smaller are not scaled up to 1; circuit-tracer's ``clamp``."""


@dataclass(frozen=True, kw_only=True)
class SparseGraph:
    """Nodes and non-zero edges of an attribution graph.

    Attributes
    ----------
    target, source
        Rows into the node arrays, one an edge; (n_edges,), integer.
    weight
        A[target, source]; (n_edges,), any float.
    kind
        Node kinds, codes as in ``node_kind``; (n_nodes,).
    level
        Layer of each node: tokens -1, features and errors theirs, logits n_layers;
        (n_nodes,). An edge's source has a lower level than its target.
    logit_weight
        Probability of logit nodes, 0 elsewhere; (n_nodes,).
    """

    target: np.ndarray
    source: np.ndarray
    weight: np.ndarray
    kind: np.ndarray
    level: np.ndarray
    logit_weight: np.ndarray

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.kind)

    @cached_property
    def share(self) -> np.ndarray:
        """Share of each edge in its target's input: |A[t, s]| / sum over s of |A[t, s]|.

        (n_edges,) float64, dimensionless.

        Raises
        ------
        ValueError
            A weight is not finite, or an edge does not lead to a higher level.
        """
        size = np.abs(self.weight.astype(np.float64))
        if not np.isfinite(size).all():
            bad = int(np.flatnonzero(~np.isfinite(size))[0])
            raise ValueError(
                f"edge from node {self.source[bad]} to node {self.target[bad]} "
                f"is {self.weight[bad]}, not finite."
            )
        upward = self.level[self.source] < self.level[self.target]
        if not upward.all():
            bad = int(np.flatnonzero(~upward)[0])
            raise ValueError(
                f"edge from node {self.source[bad]} (level {self.level[self.source[bad]]}) to node "
                f"{self.target[bad]} (level {self.level[self.target[bad]]}) does not lead upward."
            )
        total = np.bincount(self.target, weights=size, minlength=self.n_nodes)
        share: np.ndarray = size / np.maximum(total, SMALLEST_SUM)[self.target]
        return share

    @cached_property
    def downwards(self) -> list[np.ndarray]:
        """Edges by the level of their target, the highest first; in each level in their order."""
        if len(self.target) == 0:
            return []
        # numpy sorts integers of 16 bits in one pass over them.
        depth = (self.level.max() - self.level).astype(np.int16)[self.target]
        order = np.argsort(depth, kind="stable")
        return np.split(order, np.cumsum(np.bincount(depth))[:-1])


def from_dense(
    adjacency: np.ndarray, *, kind: np.ndarray, level: np.ndarray, logit_weight: np.ndarray
) -> SparseGraph:
    """Make a `SparseGraph` of a dense adjacency A[target, source], (n_nodes, n_nodes)."""
    target, source = (rows.astype(np.int32) for rows in np.nonzero(adjacency))
    return SparseGraph(
        target=target,
        source=source,
        weight=adjacency[target, source],
        kind=kind,
        level=level,
        logit_weight=logit_weight,
    )


def propagate(graph: SparseGraph, share: np.ndarray) -> np.ndarray:
    """Sum w N + w N^2 + ... with w the logit weights and N[target, source] = share; exact in one pass.

    Parameters
    ----------
    graph
        The graph.
    share
        (n_edges,) float64, in the order of its edges.

    Returns
    -------
    numpy.ndarray
        (n_nodes,) float64, dimensionless.
    """
    reached = graph.logit_weight.astype(np.float64)
    for edges in graph.downwards:
        # Levels above are done, so what has reached these targets is final.
        passed = reached[graph.target[edges]] * share[edges]
        reached += np.bincount(graph.source[edges], weights=passed, minlength=graph.n_nodes)
    influence: np.ndarray = reached - graph.logit_weight
    return influence
