"""What is kept of a graph, and circuit-tracer's graph rebuilt from it."""

from typing import Any

import numpy as np
import pytest
import torch
from circuit_tracer.graph import Graph, compute_graph_scores, compute_node_influence, prune_graph
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.analysis import pruning
from pipeline.analysis.sparse_graph import from_edges
from pipeline.attribution import graph_items as graph_items_module
from pipeline.attribution.graph_items import graph_items, sparse_graph
from pipeline.attribution.trace import Trace
from pipeline.exchange.conversion import rebuild
from pipeline.exchange.graph_metadata import facts_of_model
from store.collections.item import Item
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from store.schema.vocabulary import ERROR, FEATURE, LOGIT, TOKEN
from tests.support.traced_subject import Capped, Subject

SETTINGS: dict[str, Any] = {
    "own_candidates": [5],
    "key": "0" * 64,
    "prompt_hash": "0" * 12,
    "variant": "general@1.0",
    "node_threshold": 0.8,
    "edge_threshold": 0.98,
    "keep_node_threshold": 0.9,
    "keep_edges": 10**6,
}


@pytest.fixture(params=["traced", "partly_traced"])
def case(request: pytest.FixtureRequest) -> Trace:
    return request.getfixturevalue(request.param)


def in_float64(graph: Graph) -> Graph:
    """The same graph for circuit-tracer to compute on in float64."""
    return Graph(
        input_string=graph.input_string,
        input_tokens=graph.input_tokens,
        active_features=graph.active_features,
        adjacency_matrix=graph.adjacency_matrix.double(),
        cfg=graph.cfg,
        selected_features=graph.selected_features,
        activation_values=graph.activation_values,
        logit_targets=graph.logit_targets,
        logit_probabilities=graph.logit_probabilities.double(),
        scan=graph.scan,
        vocab_size=graph.vocab_size,
    )


@pytest.fixture
def double_default(case: Trace) -> Any:
    """circuit-tracer makes its vectors in the default dtype; the trace is made before."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double_default")
@pytest.mark.parametrize(("node", "edge"), [(0.8, 0.98), (0.9, 0.98), (0.5, 0.7), (1.0, 1.0)])
def test_influence_pruning_and_scores_are_circuit_tracers(case: Trace, node: float, edge: float) -> None:
    graph = sparse_graph(case.graph)
    reference = in_float64(case.graph)
    weights = torch.zeros(graph.n_nodes)
    weights[-len(case.direct) :] = reference.logit_probabilities
    influence = pruning.node_influence(graph)
    np.testing.assert_allclose(
        influence, compute_node_influence(reference.adjacency_matrix, weights).numpy(), atol=1e-12
    )
    np.testing.assert_allclose(pruning.graph_scores(graph), compute_graph_scores(reference), atol=1e-12)
    expected = prune_graph(reference, node, edge)
    found = pruning.prune_graph(graph, node_threshold=node, edge_threshold=edge)
    # At a threshold of 1 what is cut depends on rounding in the last bit of a sum of 1.
    if node < 1:
        np.testing.assert_array_equal(found.nodes, expected.node_mask.numpy())
        np.testing.assert_array_equal(
            found.edges, expected.edge_mask.numpy()[graph.target(np.arange(len(graph.source))), graph.source]
        )
        assert found.edges.sum() == expected.edge_mask.sum()


def test_items_fit_the_schema(case: Trace) -> None:
    for item, schema in zip(graph_items(case, **SETTINGS), (GRAPHS, FULL_GRAPHS), strict=True):
        assert set(item.arrays) == set(schema.arrays)
        assert set(item.scalars) == set(schema.scalars)
        sizes: dict[str, int] = {}
        for name, spec in schema.arrays.items():
            array = item.arrays[name]
            assert array.dtype == np.dtype(spec.dtype), name
            assert array.ndim == len(spec.dims), name
            for dim, size in zip(spec.dims, array.shape, strict=True):
                assert sizes.setdefault(dim, size) == size, (name, dim)


def test_masks_are_circuit_tracers_default_pruning(case: Trace) -> None:
    item, _ = graph_items(case, **SETTINGS)
    graph = sparse_graph(case.graph)
    expected = prune_graph(case.graph, 0.8, 0.98)
    kept = pruning.influential(graph, pruning.node_influence(graph), 0.9)
    np.testing.assert_array_equal(item.arrays["node_default"], expected.node_mask.numpy()[kept])
    assert item.arrays["node_default"].sum() == expected.node_mask.sum()
    assert item.arrays["edge_default"].sum() == expected.edge_mask.sum()
    original = np.flatnonzero(kept)
    default = item.arrays["edge_default"]
    target = original[item.arrays["edge_target"][default]]
    source = original[item.arrays["edge_source"][default]]
    assert expected.edge_mask.numpy()[target, source].all()
    np.testing.assert_allclose(
        item.arrays["node_cumulative"], expected.cumulative_scores.numpy()[kept], atol=1e-4
    )
    np.testing.assert_allclose(
        [item.scalars["replacement_score"], item.scalars["completeness_score"]],
        compute_graph_scores(case.graph),
        atol=1e-5,
    )


def test_every_edge_among_kept_nodes_is_kept_with_its_value(case: Trace) -> None:
    item, _ = graph_items(case, **SETTINGS)
    graph = sparse_graph(case.graph)
    kept = np.flatnonzero(pruning.influential(graph, pruning.node_influence(graph), 0.9))
    dense = np.zeros((len(kept), len(kept)), dtype=np.float32)
    dense[item.arrays["edge_target"], item.arrays["edge_source"]] = item.arrays["edge_weight"]
    np.testing.assert_array_equal(dense, case.graph.adjacency_matrix.numpy()[np.ix_(kept, kept)])
    assert item.scalars["kept_edge_score"] == 1.0
    assert item.scalars["kept_node_influence"] >= 0.9
    kinds = item.arrays["node_kind"]
    n_positions, n_logits = len(case.graph.input_tokens), len(case.direct)
    assert (kinds == TOKEN).sum() == n_positions
    assert (kinds == LOGIT).sum() == n_logits


@pytest.mark.parametrize("beyond_default", [-10, 200])
def test_a_limit_keeps_the_default_edges_and_the_largest_scores(traced: Trace, beyond_default: int) -> None:
    everything = graph_items(traced, **SETTINGS)[0].arrays
    n_default = int(everything["edge_default"].sum())
    limit = n_default + beyond_default
    item, _ = graph_items(traced, **SETTINGS | {"keep_edges": limit})
    arrays = item.arrays
    np.testing.assert_array_equal(arrays["node_kind"], everything["node_kind"])
    assert len(arrays["edge_weight"]) == max(limit, n_default)
    assert arrays["edge_default"].sum() == n_default
    # Scores again, from the arrays that are stored.
    n_nodes = len(everything["node_kind"])
    weight = np.where(everything["node_kind"] == LOGIT, everything["node_value"], 0.0)
    stored = from_edges(
        target=everything["edge_target"],
        source=everything["edge_source"],
        weight=everything["edge_weight"],
        kind=everything["node_kind"],
        level=everything["node_layer"],
        logit_weight=weight,
    )
    _, scores = pruning.edge_scores(stored, np.ones(n_nodes, dtype=bool))
    pairs = set(zip(arrays["edge_target"].tolist(), arrays["edge_source"].tolist(), strict=True))
    every = zip(everything["edge_target"].tolist(), everything["edge_source"].tolist(), strict=True)
    kept = np.array([pair in pairs for pair in every])
    assert kept.sum() == len(pairs)
    assert scores[~kept].max() <= scores[kept & ~everything["edge_default"]].min(initial=np.inf)
    assert item.scalars["kept_edge_score"] == pytest.approx(scores[kept].sum() / scores.sum())
    assert item.scalars["kept_edge_score"] < 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30), st.integers(1, 32))
@example([(number % 6, False) for number in range(17)], 5)  # more than there are among every eighth
def test_of_edges_that_tie_the_first_are_kept(edges: list[tuple[int, bool]], limit: int) -> None:
    """As a sort by default edges, score and place has them."""
    scores, default = np.array([score for score, _ in edges], float), np.array([shown for _, shown in edges])
    order = np.lexsort((np.arange(len(edges)), -scores, ~default))
    expected = np.sort(order[: max(limit, int(default.sum()))])
    np.testing.assert_array_equal(graph_items_module._kept_edges(scores, default, limit), expected)


def test_nodes_say_what_they_are(traced: Trace, subject: Subject) -> None:
    item, _ = graph_items(traced, **SETTINGS | {"keep_node_threshold": 1.0})
    arrays, graph = item.arrays, traced.graph
    n_layers, n_pos = subject.general.cfg.n_layers, len(subject.ids)
    features = arrays["node_kind"] == FEATURE
    named = {
        tuple(row): value
        for row, value in zip(graph.active_features.tolist(), graph.activation_values.tolist(), strict=True)
    }
    rows = zip(
        arrays["node_layer"][features].tolist(),
        arrays["node_position"][features].tolist(),
        arrays["node_feature"][features].tolist(),
        arrays["node_value"][features].tolist(),
        strict=True,
    )
    for layer, position, feature, value in rows:
        assert named[layer, position, feature] == value
    tokens = arrays["node_kind"] == TOKEN
    assert arrays["node_feature"][tokens].tolist() == subject.ids
    assert arrays["node_position"][tokens].tolist() == list(range(n_pos))
    assert set(arrays["node_layer"][tokens]) == {-1}
    logits = arrays["node_kind"] == LOGIT
    assert arrays["node_feature"][logits].tolist() == arrays["target_token"].tolist()
    assert set(arrays["node_layer"][logits]) == {n_layers}
    assert set(arrays["node_position"][logits]) == {n_pos - 1}
    np.testing.assert_array_equal(arrays["node_value"][logits], arrays["target_probability"])
    errors = arrays["node_kind"] == ERROR
    assert set(arrays["node_feature"][errors]) <= {-1}
    assert np.isnan(arrays["node_value"][errors | tokens]).all()


def test_targets_are_centred_over_the_vocabulary(traced: Trace) -> None:
    item, _ = graph_items(traced, **SETTINGS)
    raw = traced.raw_logits.double().numpy()
    np.testing.assert_allclose(
        item.arrays["target_centred_logit"],
        (raw - raw.mean())[item.arrays["target_token"]],
        rtol=1e-6,
    )
    np.testing.assert_array_equal(item.arrays["target_is_candidate"], item.arrays["target_token"] == 5)


def test_centring_is_before_the_softcap_as_in_logit_vectors(capped: Capped) -> None:
    item, _ = graph_items(capped.trace, **SETTINGS)
    raw = capped.trace.raw_logits.double().numpy()
    np.testing.assert_allclose(item.arrays["target_centred_logit"], (raw - raw.mean())[[5, 6]], rtol=1e-6)
    logits = capped.trace.logits.numpy()
    np.testing.assert_array_equal(item.arrays["target_logit"], logits[[5, 6]])
    assert abs(logits[5] - raw[5]) > 1e-6


def rebuilt(items: tuple[Item, Item], subject: Subject) -> Graph:
    model = subject.general
    item, full = items
    facts = facts_of_model(item, config=model.cfg, tokenizer=model.tokenizer, scan=model.scan)
    return rebuild(item, full, facts)


def test_circuit_tracers_graph_is_rebuilt_bit_for_bit(case: Trace, subject: Subject) -> None:
    graph = rebuilt(graph_items(case, **SETTINGS), subject)
    assert vars(graph).keys() == vars(case.graph).keys()
    for name, value in vars(case.graph).items():
        found = getattr(graph, name)
        if isinstance(value, torch.Tensor):
            assert found.dtype == value.dtype, name
            assert torch.equal(found, value), name
        else:
            assert found == value, name
    bits = [each.adjacency_matrix.view(torch.int32) for each in (graph, case.graph)]
    assert torch.equal(*bits)
    assert compute_graph_scores(graph) == compute_graph_scores(case.graph)


def test_keeping_less_than_is_shown_is_refused(traced: Trace) -> None:
    with pytest.raises(ValueError, match="at least node_threshold"):
        graph_items(traced, **SETTINGS | {"keep_node_threshold": 0.5})
