"""The benchmark's own code: the GPU's case, small on the CPU, and what it would notice."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from circuit_tracer.graph import Graph

from tests.bench import gpu_case
from tests.bench.cases import Subject
from tests.bench.comparison import by_circuit_tracer, by_engine, compare, difference

SMALL = gpu_case.Sizes(
    n_layers=3,
    d_model=64,
    d_mlp=128,
    n_heads=8,
    n_key_value_heads=2,
    vocabulary=400,
    features=512,
    active=20,
    tokens=10,
    selected=200,
    batch=16,
)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return gpu_case.random_subject(tmp_path_factory.mktemp("gpu"), SMALL, torch.device("cpu"))


@pytest.fixture(scope="module")
def theirs(subject: Subject) -> Graph:
    return by_circuit_tracer(subject)


def changed(graph: Graph, **changes: object) -> Graph:
    """A graph with other arrays; its class has no such method."""
    copied = object.__new__(Graph)
    copied.__dict__ |= graph.__dict__ | changes
    return copied


def test_the_gpu_case_is_the_same_code_on_the_cpu(subject: Subject) -> None:
    found = compare(subject, pairs=1)
    assert found.max_rel_error <= 1e-5
    assert found.selected == SMALL.selected
    assert found.speedup > 0
    sites = SMALL.n_layers * (SMALL.tokens - 1)
    assert 0.7 < found.active / (sites * SMALL.active) < 1.3


def test_weights_are_counted(subject: Subject) -> None:
    transcoders = sum(each.numel() for each in subject.model.transcoders.parameters())
    everything = sum(each.numel() for each in subject.model.parameters())
    counted = 4 * (transcoders + 2 * (everything - transcoders))
    assert SMALL.weight_bytes == pytest.approx(counted, rel=0.05)


def test_without_a_gpu_the_figure_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = gpu_case.gpu_figures(tmp_path)
    assert found["attribution_speedup_gpu"] is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (24 * 10**9, 24 * 10**9))
    found = gpu_case.gpu_figures(tmp_path)
    assert found["attribution_speedup_gpu"] is None
    assert "24 GB free" in found["raw"]["attribution_gpu"]


def test_a_wrong_edge_is_seen(subject: Subject, theirs: Graph) -> None:
    wrong = theirs.adjacency_matrix.clone()
    wrong[150, 3] += 0.01 * wrong.abs().max()
    error, swapped = difference(subject, changed(theirs, adjacency_matrix=wrong), theirs)
    assert error == pytest.approx(0.01, rel=1e-4)
    assert swapped == 0


def test_a_tied_selection_is_compared_where_it_is_common(subject: Subject, theirs: Graph) -> None:
    # Features of the last layer before the last position reach no logit, so many are tied at 0.
    every = by_circuit_tracer(replace(subject, max_feature_nodes=10**6))
    layer, position = every.active_features[:, :2].T
    silent = ((layer == SMALL.n_layers - 1) & (position < SMALL.tokens - 1)).nonzero().squeeze(1)
    tied = replace(subject, max_feature_nodes=len(every.active_features) - len(silent) // 2)
    ours = by_engine(tied)
    assert not torch.isin(silent, ours.selected_features).all()
    others = torch.arange(len(every.active_features), len(every.adjacency_matrix))
    spoken = torch.arange(len(every.active_features))[~torch.isin(torch.arange(len(layer)), silent)]
    rest = silent[-(len(ours.selected_features) - len(spoken)) :]
    chosen = torch.cat([spoken, rest]).sort().values
    index = torch.cat([chosen, others])
    other_ties = changed(
        every, selected_features=chosen, adjacency_matrix=every.adjacency_matrix[index][:, index]
    )
    error, swapped = difference(tied, ours, other_ties)
    assert swapped > 0
    assert error <= 1e-5


def test_another_selection_is_no_tie(subject: Subject, theirs: Graph) -> None:
    strongest = theirs.selected_features.clone()
    taken = torch.isin(torch.arange(len(theirs.active_features)), strongest)
    strongest[0] = (~taken).nonzero()[0, 0]
    with pytest.raises(RuntimeError, match="not among ties"):
        difference(subject, changed(theirs, selected_features=strongest.sort().values), theirs)
