"""Exact scores against circuit-tracer's iteration."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from circuit_tracer.graph import compute_influence, normalize_matrix

from pipeline.attribution.exact_scores import NodeOrder, exact_scores
from tests.bench.cases import wide_graph

_PAIRS: Final = 9
_MOST_ERROR: Final = 1e-6
"""Largest difference from the float64 iteration, as a share of the largest score."""


def influence_figures(folder: Path) -> dict[str, Any]:
    """Influence of every node on each logit of the wide model's graph.

    circuit-tracer: ``normalize_matrix`` and ``compute_influence`` for a one-hot row a logit, all
    rows at once or one by one, whichever is faster. Ours gives signed influence and, in the
    same pass, direct and total effects; it is checked against the iteration in float64. Both
    sides normalise, on one thread: with more, a ratio of calls this short measures how
    busy the other cores are.
    """
    graph = wide_graph(folder / "influence_tokenizer").graph
    matrix = graph.adjacency_matrix
    n_logits = len(graph.logit_targets)
    gate, layout = graph.activation_values[graph.selected_features], NodeOrder.of(graph)
    one_hot = torch.zeros(n_logits, len(matrix))
    one_hot[:, -n_logits:] = torch.eye(n_logits)

    def at_once() -> object:
        return compute_influence(normalize_matrix(matrix), one_hot)

    def one_by_one() -> object:
        shares = normalize_matrix(matrix)
        return [compute_influence(shares, row) for row in one_hot]

    def ours() -> object:
        return exact_scores(matrix, gate, layout)

    error = _largest_error(matrix, gate, layout, one_hot)
    if max(error.values()) > _MOST_ERROR:
        raise RuntimeError(f"scores are not those of the float64 iteration: {error}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for warm_up in (at_once, one_by_one, ours):
            warm_up()
        theirs = min(
            (at_once, one_by_one), key=lambda way: statistics.median(_seconds(way) for _ in range(3))
        )
        pairs = [(_seconds(theirs), _seconds(ours)) for _ in range(_PAIRS)]
    finally:
        torch.set_num_threads(threads)
    return {
        "influence_speedup_wide": statistics.median(before / after for before, after in pairs),
        "raw": {
            "influence": {
                "nodes": len(matrix),
                "logits": n_logits,
                "threads": 1,
                "circuit_tracer": theirs.__name__,
                "circuit_tracer_seconds": statistics.median(before for before, _ in pairs),
                "seconds": statistics.median(after for _, after in pairs),
                "max_rel_error": error,
            }
        },
    }


def _largest_error(
    matrix: torch.Tensor, gate: torch.Tensor, layout: NodeOrder, one_hot: torch.Tensor
) -> dict[str, float]:
    """Of influence and total effect, as a share of the largest, against dense float64."""
    found = exact_scores(matrix, gate, layout)
    n_features, _, n_sources, _ = layout.bounds
    dense = matrix.double()
    share = dense / dense.abs().sum(1, keepdim=True).clamp(min=1e-10)
    between = dense[:n_features, :n_features] / gate.double()[:, None]
    direct = dense[n_sources:, :n_features]
    expected = {
        "influence": compute_influence(share, one_hot.double())[:, :n_sources].numpy(),
        "total_effect": (direct + compute_influence(between, direct)).numpy(),
    }
    nodes = (found.features, found.errors, found.tokens)
    scores = {
        "influence": np.concatenate([each.influence for each in nodes], 1),
        "total_effect": found.features.total_effect,
    }
    return {
        name: float(np.abs(scores[name] - values).max() / np.abs(values).max())
        for name, values in expected.items()
    }


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
