"""Nodes and edges of an attribution graph, and how influence flows along them: one pass, float64.

An edge always leads to a higher level (layer), so the series A + A^2 + ... ends, and one sweep
down the levels gives its exact sum; circuit-tracer (``circuit_tracer/graph.py``:
``compute_influence``) iterates until float32 reaches zero.

Works on any list of edges: a whole graph, or the part of it that an artifact keeps.
"""

import itertools
from collections.abc import Iterator
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
    """Nodes and non-zero edges of an attribution graph; `from_dense` and `from_edges` make it.

    Numbers of edges are held as seldom as can be: a graph of 8,192 features has 16 million, and fresh
    memory for one of each costs more than reckoning it again.

    Attributes
    ----------
    begins
        Where each target's edges begin, and the last one's end; (n_nodes + 1,) int32.
    source
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

    begins: np.ndarray
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
    def size(self) -> np.ndarray:
        """Sum over s of |A[t, s]|; (n_nodes,) float64."""
        total, every = np.zeros(self.n_nodes), np.ones(self.n_nodes)
        for of, edges in self.blocks(slice(0, self.n_nodes)):
            total[of] = self.rows(of, np.abs(self.weight[edges], dtype=np.float64)) @ every
        return total

    def target(self, edges: np.ndarray) -> np.ndarray:
        """Rows into the node arrays of some edges' targets; (len(edges),) int64."""
        found: np.ndarray = np.searchsorted(self.begins, edges, side="right") - 1
        return found

    def blocks(self, of: slice) -> Iterator[tuple[slice, slice]]:
        """Some targets a part at a time, and the edges of each part: few enough for the processor's cache."""
        ends = self.begins[of.start : of.stop + 1]
        cuts = np.searchsorted(ends, np.arange(ends[0] + _BLOCK, ends[-1], _BLOCK))
        for begin, end in itertools.pairwise(np.unique([0, *cuts, len(ends) - 1]).tolist()):
            yield slice(of.start + begin, of.start + end), slice(int(ends[begin]), int(ends[end]))

    def share(self, of: slice, out: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        """Share of each edge in its target's input: |A[t, s]| / sum over s of |A[t, s]|, of some targets.

        Parameters
        ----------
        of
            The targets.
        out
            Float64, as long as their edges or longer; the first are written and given back, dimensionless.
        times
            A number for each node, (n_nodes,) float64, that shares of its inputs are multiplied by.
        """
        size, first = np.maximum(self.size[of], SMALLEST_SUM), int(self.begins[of.start])
        for part, edges in self.blocks(of):
            share = out[edges.start - first : edges.stop - first]
            counts = np.diff(self.begins[part.start : part.stop + 1])
            np.abs(self.weight[edges], out=share)
            share /= np.repeat(size[part.start - of.start : part.stop - of.start], counts)
            if times is not None:
                share *= np.repeat(times[part], counts)
        return out[: int(self.begins[of.stop]) - first]

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
        passed: np.ndarray = turned @ reached
        return passed

    def among(self, nodes: np.ndarray) -> tuple["SparseGraph", np.ndarray]:
        """The graph restricted to some nodes, (n_nodes,) bool; and which edges it has, ascending, int32."""
        counts = np.zeros(self.n_nodes + 1, np.int32)
        kept = np.flatnonzero(nodes)
        inside = np.empty(np.diff(self.begins)[kept].sum(), np.int32)
        end = 0
        for target in kept.tolist():
            first, last = self.begins[target : target + 2].tolist()
            found = nodes.take(self.source[first:last]).nonzero()[0]
            begin, end = end, end + len(found)
            np.add(found, first, out=inside[begin:end], casting="same_kind")
            counts[target + 1] = len(found)
        inside = inside[:end]  # the rest was never written, so it takes no memory
        edges = {"source": self.source.take(inside), "weight": self.weight.take(inside)}
        return replace(self, begins=np.cumsum(counts, dtype=np.int32), **edges), inside


def from_edges(
    *,
    target: np.ndarray,
    source: np.ndarray,
    weight: np.ndarray,
    kind: np.ndarray,
    level: np.ndarray,
    logit_weight: np.ndarray,
) -> SparseGraph:
    """Make a `SparseGraph` of edges whose `target`, (n_edges,) integer, ascends.

    Raises
    ------
    ValueError
        Targets do not ascend, a weight is not finite, or an edge does not lead to a higher level.
    """
    if (target[1:] < target[:-1]).any():
        raise ValueError("edges must be in the order of their targets.")
    nodes = np.arange(len(kind) + 1, dtype=target.dtype)
    begins = np.searchsorted(target, nodes).astype(np.int32)
    return _checked(
        SparseGraph(
            begins=begins, source=source, weight=weight, kind=kind, level=level, logit_weight=logit_weight
        )
    )


def from_dense(
    adjacency: np.ndarray, *, kind: np.ndarray, level: np.ndarray, logit_weight: np.ndarray
) -> SparseGraph:
    """Make a `SparseGraph` of a dense adjacency A[target, source], (n_nodes, n_nodes).

    Raises as `from_edges`.
    """
    # Row by row, which the processor's cache holds: fresh memory costs more than the numbers. And by what is
    # set in a mask, which numpy finds three times faster than floats that are not zero.
    counts = [np.count_nonzero(row != 0) for row in adjacency]
    begins = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    source = np.empty(begins[-1], np.int32)
    weight = np.empty(len(source), adjacency.dtype)
    for row, (begin, end) in zip(adjacency, itertools.pairwise(begins.tolist()), strict=True):
        present = (row != 0).nonzero()[0]
        source[begin:end] = present
        row.take(present, out=weight[begin:end], mode="clip")  # another mode goes through a copy
    return _checked(
        SparseGraph(
            begins=begins, source=source, weight=weight, kind=kind, level=level, logit_weight=logit_weight
        )
    )


def _checked(graph: SparseGraph) -> SparseGraph:
    """The graph, or a ValueError: a weight is not finite, or an edge does not lead to a higher level."""
    level = graph.level.astype(np.int16)
    for run in _runs(graph):
        for _, edges in graph.blocks(run):
            finite = np.isfinite(graph.weight[edges])
            upward = level.take(graph.source[edges]) < level[run.start]
            if not (finite & upward).all():
                bad = edges.start + int(np.flatnonzero(~(finite & upward))[0])
                target, source = int(graph.target(np.array([bad]))[0]), graph.source[bad]
                if not np.isfinite(graph.weight[bad]):
                    raise ValueError(
                        f"edge from node {source} to node {target} is {graph.weight[bad]}, not finite."
                    )
                raise ValueError(
                    f"edge from node {source} (level {graph.level[source]}) to node "
                    f"{target} (level {graph.level[target]}) does not lead upward."
                )
    return graph


def propagate(graph: SparseGraph, ends: np.ndarray | None = None) -> np.ndarray:
    """Sum w N + w N^2 + ... with w the logit weights, N[target, source] shares; exact in one pass.

    Parameters
    ----------
    graph
        The graph.
    ends
        Nodes that pass nothing on, (n_nodes,) bool; None: each passes on what reaches it.

    Returns
    -------
    numpy.ndarray
        (n_nodes,) float64, dimensionless.
    """
    reached = graph.logit_weight.astype(np.float64)
    runs = _runs(graph)
    shares = np.empty(max((int(np.diff(graph.begins[[run.start, run.stop]])[0]) for run in runs), default=0))
    for run in runs:
        # Levels above are done, so what has reached these targets is final.
        passed = reached[run] if ends is None else np.where(ends[run], 0.0, reached[run])
        reached += graph.passed_on(run, graph.share(run, shares), passed)
    influence: np.ndarray = reached - graph.logit_weight
    return influence


def _runs(graph: SparseGraph) -> list[slice]:
    """Targets that follow each other in one level; the highest level first."""
    borders = [0, *(np.flatnonzero(np.diff(graph.level)) + 1).tolist(), graph.n_nodes]
    runs = [
        slice(begin, end)
        for begin, end in itertools.pairwise(borders)
        if graph.begins[begin] < graph.begins[end]
    ]
    return sorted(runs, key=lambda run: -graph.level[run.start])
