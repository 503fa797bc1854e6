"""Influence, pruning and scores against circuit-tracer's own, and against a dense inverse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from circuit_tracer import graph as circuit_tracer
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.pruning import (
    cumulative_share,
    edge_scores,
    find_threshold,
    graph_scores,
    node_influence,
    prune_graph,
)
from pipeline.analysis.sparse_graph import SparseGraph, from_edges
from pipeline.analysis.stored_graph import prune_stored
from store.schema.vocabulary import ERROR, FEATURE
from store.views.graph import GraphView
from tests.support.graph_cases import graph_item, make_case


@pytest.fixture(autouse=True)
def _in_float64():
    """circuit-tracer's sums in float64, as ours: in float32 an edge moves now and then."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _dense(graph: SparseGraph, values: np.ndarray) -> np.ndarray:
    matrix = np.zeros((graph.n_nodes, graph.n_nodes), dtype=values.dtype)
    matrix[_target(graph), graph.source] = values
    return matrix


def _target(graph: SparseGraph) -> np.ndarray:
    return np.repeat(np.arange(graph.n_nodes), np.diff(graph.begins))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_features=st.integers(1, 60),
    node_threshold=st.floats(0.05, 0.99),
    edge_threshold=st.floats(0.05, 0.99),
)
def test_masks_are_circuit_tracers(seed, n_features, node_threshold, edge_threshold) -> None:
    case = make_case(seed, n_features=n_features)
    expected = circuit_tracer.prune_graph(case.reference, node_threshold, edge_threshold)
    graph = case.sparse
    found = prune_graph(graph, node_threshold=node_threshold, edge_threshold=edge_threshold)
    np.testing.assert_array_equal(found.nodes, expected.node_mask.numpy())
    np.testing.assert_array_equal(_dense(graph, found.edges), expected.edge_mask.numpy())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    node_threshold=st.floats(0.1, 0.9),
    edge_threshold=st.floats(0.1, 0.99),
)
def test_what_an_artifact_keeps_shows_the_same(seed, node_threshold, edge_threshold) -> None:
    case = make_case(seed)
    item = graph_item(case, keep=0.9)
    kept = np.flatnonzero(_kept(case, item))
    expected = circuit_tracer.prune_graph(case.reference, node_threshold, edge_threshold)
    shown = prune_stored(GraphView(item), node_threshold, edge_threshold)
    assert shown.exact
    assert set(kept[shown.nodes]) == set(np.flatnonzero(expected.node_mask.numpy()))
    edges = np.zeros(case.adjacency.shape, dtype=bool)
    target, source = item.arrays["edge_target"], item.arrays["edge_source"]
    edges[kept[target[shown.edges]], kept[source[shown.edges]]] = True
    np.testing.assert_array_equal(edges, expected.edge_mask.numpy())
    influence = node_influence(case.sparse)
    share = influence[kept[shown.nodes]].sum() / influence.sum()
    assert shown.share == pytest.approx(share)


def _kept(case, item) -> np.ndarray:
    mask = np.zeros(len(case.kind), dtype=bool)
    mask[item.arrays["node_feature"]] = True  # the cases number their nodes there
    return mask


@pytest.mark.parametrize("seed", range(5))
def test_influence_and_scores(seed) -> None:
    case = make_case(seed)
    graph, reference = case.sparse, case.reference
    size = np.abs(case.adjacency.astype(np.float64))
    share = size / np.maximum(size.sum(1, keepdims=True), 1e-10)
    inverse = np.linalg.inv(np.eye(len(share)) - share) - np.eye(len(share))
    np.testing.assert_allclose(node_influence(graph), case.logit_weight @ inverse, atol=1e-14)
    weights = torch.from_numpy(case.logit_weight)
    np.testing.assert_allclose(
        node_influence(graph),
        circuit_tracer.compute_node_influence(reference.adjacency_matrix, weights),
        atol=1e-14,
    )
    everything = np.ones(graph.n_nodes, dtype=bool)
    np.testing.assert_allclose(
        _dense(graph, edge_scores(graph, everything)[1]),
        circuit_tracer.compute_edge_influence(reference.adjacency_matrix, weights),
        atol=1e-14,
    )
    expected = circuit_tracer.compute_graph_scores(reference)
    assert graph_scores(graph) == pytest.approx(expected, rel=1e-12)
    assert graph_scores(graph, everything) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_features_that_are_not_pinned_count_as_errors(seed) -> None:
    case = make_case(seed)
    graph = case.sparse
    pinned = np.random.default_rng(seed).random(graph.n_nodes) < 0.5
    # The same graph with these features really turned into errors, which have no inputs.
    other = (case.kind == FEATURE) & ~pinned
    share = np.abs(case.adjacency.astype(np.float64))
    share /= np.maximum(share.sum(1, keepdims=True), 1e-10)
    share[other] = 0.0
    inverse = np.linalg.inv(np.eye(len(share)) - share) - np.eye(len(share))
    influence = case.logit_weight @ inverse
    error = other | (case.kind == ERROR)
    token = influence[case.kind == 2].sum()
    replacement = token / (token + influence[error].sum())
    output = influence + case.logit_weight
    completeness = ((1 - share[:, error].sum(1)) * output).sum() / output.sum()
    assert graph_scores(graph, pinned) == pytest.approx((replacement, completeness))
    nothing = np.zeros(graph.n_nodes, dtype=bool)
    assert graph_scores(graph, nothing)[1] <= graph_scores(graph)[1] + 1e-12


@settings(max_examples=100)
@given(scores=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=30), threshold=st.floats(0.0, 1.0))
def test_find_threshold(scores, threshold) -> None:
    found = find_threshold(np.array(scores), threshold)
    assert found == float(circuit_tracer.find_threshold(torch.tensor(scores), threshold))


def test_find_threshold_of_nothing() -> None:
    assert find_threshold(np.zeros(0), 0.5) == 0.0
    assert find_threshold(np.zeros(3), 0.5) == 0.0


def test_cumulative_share() -> None:
    np.testing.assert_allclose(cumulative_share(np.array([1.0, 0, 6, 3])), [1.0, 1.0, 0.6, 0.9])
    np.testing.assert_array_equal(cumulative_share(np.zeros(2)), [0, 0])


def test_everything_is_kept_at_one() -> None:
    graph = make_case(1).sparse
    kept = prune_graph(graph, node_threshold=1.0, edge_threshold=1.0)
    assert graph_scores(graph)[0] > 0
    assert kept.edges.mean() > 0.9


@pytest.mark.parametrize("seed", range(4))
def test_sums_are_to_the_bit_those_in_the_order_of_the_edges(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept graphs are compared by their bytes: whatever adds up faster must round alike."""
    monkeypatch.setattr("pipeline.analysis.sparse_graph._BLOCK", 100)
    graph = make_case(seed, n_features=120, n_layers=4).sparse
    target = _target(graph)
    np.testing.assert_array_equal(graph.target(np.arange(len(target))), target)
    total = np.bincount(target, np.abs(graph.weight.astype(np.float64)), graph.n_nodes)
    share = np.abs(graph.weight.astype(np.float64)) / np.maximum(total, 1e-10)[target]
    np.testing.assert_array_equal(graph.size, total)
    of = slice(int(target[len(target) // 3]), graph.n_nodes)
    buffer = np.full(len(share) + 5, np.nan)  # longer than what is asked for
    np.testing.assert_array_equal(graph.share(of, buffer), share[target >= of.start])
    reached = graph.logit_weight.copy()
    for level in range(4, -1, -1):
        edges = graph.level[target] == level
        passed = reached[target[edges]] * share[edges]
        reached += np.bincount(graph.source[edges], passed, graph.n_nodes)
    influence = reached - graph.logit_weight
    np.testing.assert_array_equal(node_influence(graph), influence)
    assert graph_scores(graph) == graph_scores(graph, influence=influence)
    nodes = np.random.default_rng(seed).random(graph.n_nodes) < 0.6
    part, inside = graph.among(nodes)
    np.testing.assert_array_equal(inside, np.flatnonzero(nodes[target] & nodes[graph.source]))
    np.testing.assert_array_equal(_target(part), target[inside])
    np.testing.assert_array_equal(part.source, graph.source[inside])
    np.testing.assert_array_equal(part.weight, graph.weight[inside])
    alone = np.bincount(target[inside], np.abs(part.weight.astype(np.float64)), graph.n_nodes)
    output = (node_influence(part) + graph.logit_weight)[target[inside]]
    scores = np.abs(part.weight.astype(np.float64)) / np.maximum(alone, 1e-10)[target[inside]] * output
    np.testing.assert_array_equal(edge_scores(graph, nodes)[0], inside)
    np.testing.assert_array_equal(edge_scores(graph, nodes)[1], scores)


def test_what_would_give_a_wrong_number_is_refused() -> None:
    case = make_case(0)
    graph = case.sparse
    nodes = {"kind": graph.kind, "level": graph.level, "logit_weight": graph.logit_weight}
    edges = {"target": _target(graph), "source": graph.source, "weight": graph.weight}
    weight = graph.weight.copy()
    weight[7] = np.nan
    with pytest.raises(ValueError, match=r"edge from node \d+ to node \d+ is nan, not finite"):
        from_edges(**nodes, **edges | {"weight": weight})
    broken = replace(case, adjacency=np.where(case.adjacency == graph.weight[7], np.inf, case.adjacency))
    with pytest.raises(ValueError, match=rf"edge from node {graph.source[7]} .* is inf, not finite"):
        _ = broken.sparse
    order = np.argsort(graph.source, kind="stable")
    turned = {"target": graph.source[order], "source": _target(graph)[order]}
    with pytest.raises(ValueError, match="does not lead upward"):
        from_edges(**nodes, **edges | turned)
    with pytest.raises(ValueError, match="in the order of their targets"):
        from_edges(**nodes, **{name: values[::-1] for name, values in edges.items()})
    for bad in ({"node_threshold": 1.1}, {"edge_threshold": -0.1}, {"node_threshold": float("nan")}):
        with pytest.raises(ValueError, match="must be between 0 and 1"):
            prune_graph(case.sparse, **bad)
