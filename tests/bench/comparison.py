"""One subject, attributed by circuit-tracer and by the engine: how long, and whether the same."""

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch
from circuit_tracer.attribution.attribute import attribute
from circuit_tracer.graph import Graph

from pipeline.attribution.engine import ROUND, Attribution
from pipeline.attribution.trace import Tracing, observe, trace
from tests.bench.cases import Subject

_OURS: Final = 3
"""Runs of the engine beside each of circuit-tracer's, which take a hundred times as long: a busy moment is a
large part of one."""
_ROUNDING: Final = 1e-5
"""Influences that differ by less, relatively, are tied: both sides sum in float32."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What pairs of runs gave.

    Attributes
    ----------
    speedup
        Median over circuit-tracer's runs of its time by the engine's, the median of runs right after it.
    reference_seconds, seconds
        Medians of circuit-tracer and of the engine.
    max_rel_error
        Largest difference between the last two graphs by the largest entry, over the nodes
        that both have.
    active, selected
        Features that are active, and that became nodes.
    swapped
        Features that only one side selected; tied at the cut-off, or this raises.
    threads
        Of torch, on both sides.
    """

    speedup: float
    reference_seconds: float
    seconds: float
    max_rel_error: float
    active: int
    selected: int
    swapped: int
    threads: int


def compare(subject: Subject, pairs: int) -> Comparison:
    """Attribute by turns, circuit-tracer `pairs` times, after a first batch that warms up both.

    Raises
    ------
    RuntimeError
        The graphs are of different nodes, other than by ties.
    """
    warm = replace(subject, max_feature_nodes=subject.batch_size)
    by_circuit_tracer(warm)
    by_engine(warm)
    times = []
    for _ in range(pairs):
        # Each side lets its last graph go right before it makes the next, as whoever traces prompt after
        # prompt does: on a virtual machine fresh memory for a second one takes as long as the graph.
        theirs = None
        theirs, before = _timed(by_circuit_tracer, subject)
        afters = []
        for _ in range(_OURS):
            ours = None
            ours, after = _timed(by_engine, subject)
            afters.append(after)
        times.append((before, statistics.median(afters)))
    error, swapped = difference(subject, ours, theirs)
    return Comparison(
        speedup=statistics.median(before / after for before, after in times),
        reference_seconds=statistics.median(before for before, _ in times),
        seconds=statistics.median(after for _, after in times),
        max_rel_error=error,
        active=len(ours.active_features),
        selected=len(ours.selected_features),
        swapped=swapped,
        threads=torch.get_num_threads(),
    )


def by_circuit_tracer(subject: Subject) -> Graph:
    """circuit-tracer 0.5.0, as it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook is firing")
        return attribute(
            prompt=torch.tensor(subject.token_ids, device=subject.model.cfg.device),
            model=subject.model,
            attribution_targets=torch.tensor(subject.targets),
            batch_size=subject.batch_size,
            max_feature_nodes=subject.max_feature_nodes,
        )


def by_engine(subject: Subject) -> Graph:
    """The engine, with all that it gives beside the graph."""
    return trace(
        subject.model,
        subject.token_ids,
        subject.targets,
        max_feature_nodes=subject.max_feature_nodes,
        batch_size=subject.batch_size,
    ).graph


@torch.no_grad()
def begun(subject: Subject) -> Attribution:
    """The engine, with the logits' rows and no others."""
    model = subject.model
    seen, sources = observe(model, subject.token_ids)
    settings = {"batch_size": subject.batch_size}
    return Tracing(model, seen, seen.frozen, sources, None, subject.targets, **settings).attribution


def difference(subject: Subject, ours: Graph, theirs: Graph) -> tuple[float, int]:
    """Largest relative difference, and how many features only one graph has.

    Raises
    ------
    RuntimeError
        Active features or targets differ, or selections do, other than by ties.
    """
    same = torch.equal(ours.active_features, theirs.active_features.cpu())
    if not same or ours.logit_targets != theirs.logit_targets:
        raise RuntimeError(f"{subject.name}: active features or targets are not circuit-tracer's")
    mine, yours = ours.selected_features, theirs.selected_features.cpu()
    both = mine[torch.isin(mine, yours)]
    only_one = torch.cat([mine[~torch.isin(mine, yours)], yours[~torch.isin(yours, mine)]])
    if len(mine) != len(yours) or (len(only_one) and not _tied(subject, only_one)):
        raise RuntimeError(f"{subject.name}: selections differ, and not among ties at the cut-off")
    nodes = [_nodes(graph, chosen, both) for graph, chosen in ((ours, mine), (theirs, yours))]
    common, expected = (
        graph.adjacency_matrix[index][:, index] for graph, index in zip((ours, theirs), nodes, strict=True)
    )
    return float((common - expected).abs().max() / expected.abs().max()), len(only_one)


def _nodes(graph: Graph, selected: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Nodes of chosen features (ascending, like the selected ones), and of all that are none."""
    others = torch.arange(len(selected), len(graph.adjacency_matrix))
    return torch.cat([torch.searchsorted(selected, chosen), others])


def _tied(subject: Subject, features: torch.Tensor) -> bool:
    """Whether features have the influence of the cut-off in the last ranking."""
    engine = begun(subject)
    limit = min(subject.max_feature_nodes, len(engine.visited))
    last = (limit - 1) % (ROUND * subject.batch_size) + 1
    engine.select(limit - last)
    influence = engine.influence()
    cutoff = influence[~engine.visited].sort(descending=True).values[last - 1]
    away = (influence[features.to(influence.device)] - cutoff).abs()
    return bool((away <= _ROUNDING * cutoff).all())


def _timed(call: Callable[[Subject], Graph], subject: Subject) -> tuple[Graph, float]:
    start = time.perf_counter()
    graph = call(subject)
    if torch.device(subject.model.cfg.device).type == "cuda":
        torch.cuda.synchronize()
    return graph, time.perf_counter() - start
