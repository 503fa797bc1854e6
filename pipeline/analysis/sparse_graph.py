"""Nodes and edges of an attribution graph, and how influence flows along them: one pass, float64.

An edge always leads to a higher level (layer), so the series A + A^2 + ... ends, and one sweep
down the levels gives its exact sum; circuit-tracer (``circuit_tracer/graph.py``:
``compute_influence``) iterates until float32 reaches zero.

Works on any list of edges: a whole graph, or the part of it that an artifact keeps.
"""

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import scipy.sparse as sp

SMALLEST_SUM: Final = 1e-10
"""Sums that are smaller are not scaled up to 1; circuit-tracer's ``clamp``."""
_BLOCK: Final = 2**18
"""Edges at a time: what is made of them stays in the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class SparseGraph:
    """Nodes and non-zero edges of an attribution graph.

    Attributes
    ----------
    target, source
        Rows into the node arrays, one an edge; (n_edges,), integer, `target` ascending.
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
    def begins(self) -> np.ndarray:
        """Where each target's edges begin, and the last one's end; (n_nodes + 1,) int32.

        Raises
        ------
        ValueError
            A weight is not finite, an edge does not lead to a higher level, or targets do not ascend.
        """
        level = self.level.astype(np.int16)
        for begin in range(0, len(self.weight), _BLOCK):
            part = slice(begin, begin + _BLOCK)
            finite = np.isfinite(self.weight[part])
            if not finite.all():
                bad = begin + int(np.flatnonzero(~finite)[0])
                raise ValueError(
                    f"edge from node {self.source[bad]} to node {self.target[bad]} "
                    f"is {self.weight[bad]}, not finite."
                )
            upward = level[self.source[part]] < level[self.target[part]]
            if not upward.all():
                bad = begin + int(np.flatnonzero(~upward)[0])
                raise ValueError(
                    f"edge from node {self.source[bad]} (level {self.level[self.source[bad]]}) to node "
                    f"{self.target[bad]} (level {self.level[self.target[bad]]}) does not lead upward."
                )
        if (self.target[1:] < self.target[:-1]).any():
            raise ValueError("edges must be in the order of their targets.")
        nodes = np.arange(self.n_nodes + 1, dtype=self.target.dtype)
        return np.searchsorted(self.target, nodes).astype(np.int32)

    @cached_property
    def share(self) -> np.ndarray:
        """Share of each edge in its target's input: |A[t, s]| / sum over s of |A[t, s]|.

        (n_edges,) float64, dimensionless. Raises as `begins`.
        """
        size = np.maximum(self.size, SMALLEST_SUM)
        share = np.empty(len(self.weight))
        for begin in range(0, len(share), _BLOCK):
            part = slice(begin, begin + _BLOCK)
            np.abs(self.weight[part], out=share[part])
            share[part] /= size[self.target[part]]
        return share

    @cached_property
    def size(self) -> np.ndarray:
        """Sum over s of |A[t, s]|; (n_nodes,) float64. Raises as `begins`."""
        total, every = np.zeros(self.n_nodes), np.ones(self.n_nodes)
        cuts = np.searchsorted(self.begins, np.arange(_BLOCK, len(self.weight), _BLOCK))
        for begin, end in itertools.pairwise(np.unique([0, *cuts, self.n_nodes]).tolist()):
            edges = slice(*self.begins[[begin, end]])
            sizes = np.abs(self.weight[edges], dtype=np.float64)
            total[begin:end] = self.rows(slice(begin, end), sizes) @ every
        return total

    def rows(self, of: slice, values: np.ndarray) -> "sp.csr_array":
        """A number for each edge of some targets, float64, as a matrix [target, source].

        Products add up in the order of the edges.
        """
        from scipy.sparse import csr_array  # a graph that is shown as it was stored does without

        begins = self.begins[of.start : of.stop + 1]
        found = csr_array((len(begins) - 1, self.n_nodes))
        # Set one by one: the constructor copies what is a small view of a large array.
        found.data, found.indptr = values, begins - begins[0]
        found.indices = self.source[begins[0] : begins[-1]]
        return found

    def passed_on(self, of: slice, values: np.ndarray, reached: np.ndarray) -> np.ndarray:
        """What `rows` pass on to each source of what has reached them, (rows,); (n_nodes,) float64."""
        from scipy.sparse import csc_array

        rows = self.rows(of, values)
        turned = csc_array(rows.shape[::-1])
        turned.data, turned.indices, turned.indptr = rows.data, rows.indices, rows.indptr
        passed: np.ndarray = turned @ reached[of]
        return passed

    def among(self, nodes: np.ndarray) -> tuple["SparseGraph", np.ndarray]:
        """The graph restricted to some nodes, (n_nodes,) bool; and which edges it has, ascending."""
        found = [np.empty(0, np.int64)]
        for target in np.flatnonzero(nodes):
            begin, end = self.begins[target : target + 2]
            found.append(begin + np.flatnonzero(nodes[self.source[begin:end]]))
        inside = np.concatenate(found)
        edges = {name: getattr(self, name)[inside] for name in ("target", "source", "weight")}
        return replace(self, **edges), inside


def from_dense(
    adjacency: np.ndarray, *, kind: np.ndarray, level: np.ndarray, logit_weight: np.ndarray
) -> SparseGraph:
    """Make a `SparseGraph` of a dense adjacency A[target, source], (n_nodes, n_nodes)."""
    n_nodes = len(adjacency)
    # Row by row, which the processor's cache holds: fresh memory costs more than the numbers.
    counts = np.array([np.count_nonzero(row) for row in adjacency])
    source = np.empty(counts.sum(), np.int32)
    weight = np.empty(len(source), adjacency.dtype)
    end = 0
    for row in adjacency:
        present = np.flatnonzero(row)
        begin, end = end, end + len(present)
        source[begin:end], weight[begin:end] = present, row[present]
    return SparseGraph(
        target=np.repeat(np.arange(n_nodes, dtype=np.int32), counts),
        source=source,
        weight=weight,
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
    for begin, end in _runs(graph):
        # Levels above are done, so what has reached these targets is final.
        edges = slice(*graph.begins[[begin, end]])
        reached += graph.passed_on(slice(begin, end), share[edges], reached)
    influence: np.ndarray = reached - graph.logit_weight
    return influence


def _runs(graph: SparseGraph) -> list[tuple[int, int]]:
    """Targets that follow each other in one level, first and end; the highest level first."""
    borders = [0, *(np.flatnonzero(np.diff(graph.level)) + 1).tolist(), graph.n_nodes]
    runs = [
        (begin, end) for begin, end in itertools.pairwise(borders) if graph.begins[begin] < graph.begins[end]
    ]
    return sorted(runs, key=lambda run: -graph.level[run[0]])
