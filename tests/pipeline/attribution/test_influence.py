"""Exact scores against dense inverses, against circuit-tracer's iteration, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from circuit_tracer.graph import compute_influence, normalize_matrix
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.pruning import node_influence
from pipeline.attribution import exact_scores as influence
from pipeline.attribution.exact_scores import ExactScores, NodeOrder, SourceScores, exact_scores
from pipeline.attribution.trace import Trace
from store.base.errors import UserError
from tests.support.graph_cases import Case, make_case

PARTS = ("direct", "influence", "total_effect")


def _layout(case: Case) -> NodeOrder:
    n_features = int((case.kind == 0).sum())
    return NodeOrder(
        layer=case.level[:n_features],
        position=np.arange(n_features) % case.n_positions,
        feature=np.arange(n_features) + 100,
        n_layers=case.n_layers,
        tokens=[f"word{position}" for position in range(case.n_positions)],
        targets=[f"next{logit}" for logit in range(len(case.probability))],
    )


def _activations(case: Case, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 3.0, int((case.kind == 0).sum())).astype(np.float32)


def _scores(case: Case) -> ExactScores:
    return exact_scores(case.adjacency, _activations(case), _layout(case))


def _joined(scores: ExactScores, part: str) -> np.ndarray:
    """(logit, source) of features, errors and tokens."""
    return np.concatenate(
        [getattr(each, part) for each in (scores.features, scores.errors, scores.tokens)], 1
    )


def _shares(adjacency: np.ndarray) -> np.ndarray:
    weight = adjacency.astype(np.float64)
    return weight / np.maximum(np.abs(weight).sum(1, keepdims=True), 1e-10)


def _assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-9) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max(initial=0.0))


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_features=st.integers(0, 60),
    n_layers=st.integers(1, 6),
    n_positions=st.integers(1, 5),
    n_logits=st.integers(1, 4),
    block=st.sampled_from([1, 100, 2**18]),
)
def test_scores_are_the_dense_inverse(seed, n_features, n_layers, n_positions, n_logits, block) -> None:
    case = make_case(
        seed, n_features=n_features, n_layers=n_layers, n_positions=n_positions, n_logits=n_logits
    )
    random = np.random.default_rng(seed)
    matrix = case.adjacency.copy()
    matrix[random.random(len(matrix)) < 0.2] = 0.0
    gate = _activations(case, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(influence, "_BLOCK", block)
        found = exact_scores(matrix, gate, _layout(case))

    share = _shares(matrix)
    inverse = np.linalg.inv(np.eye(len(share)) - share) - np.eye(len(share))
    _assert_close(_joined(found, "influence"), inverse[-n_logits:, :-n_logits])

    weight, sources = matrix.astype(np.float64), slice(n_features, -n_logits)
    gates = gate.astype(np.float64)[:, None]
    direct, between = weight[-n_logits:, :n_features], weight[:n_features] / gates
    effect = direct @ np.linalg.inv(np.eye(n_features) - between[:, :n_features])
    _assert_close(found.features.total_effect, effect)
    _assert_close(
        np.concatenate([found.errors.total_effect, found.tokens.total_effect], 1),
        weight[-n_logits:, sources] + effect @ between[:, sources],
    )
    np.testing.assert_array_equal(_joined(found, "direct"), weight[-n_logits:, :-n_logits])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n_logits=st.integers(1, 4))
def test_positive_graphs_have_circuit_tracers_influence(seed, n_logits) -> None:
    case = make_case(seed, n_logits=n_logits)
    positive = np.abs(case.adjacency)
    found = exact_scores(positive, _activations(case), _layout(case))
    weights = torch.zeros(n_logits, len(positive), dtype=torch.float64)
    weights[:, -n_logits:] = torch.eye(n_logits, dtype=torch.float64)
    expected = compute_influence(normalize_matrix(torch.from_numpy(positive).double()), weights)
    _assert_close(_joined(found, "influence"), expected.numpy()[:, :-n_logits])
    unsigned = node_influence(case.sparse)[:-n_logits]
    _assert_close(case.probability @ _joined(found, "influence"), unsigned)


def test_of_a_traced_graph(traced: Trace) -> None:
    graph = traced.graph
    gate = graph.activation_values[graph.selected_features]
    found = exact_scores(graph.adjacency_matrix, gate, NodeOrder.of(graph))
    n_logits, n_features = len(graph.logit_targets), len(graph.selected_features)
    np.testing.assert_array_equal(found.features.direct, traced.direct[:, graph.selected_features])
    share = torch.from_numpy(_shares(graph.adjacency_matrix.numpy()))
    weights = torch.zeros(n_logits, len(share), dtype=torch.float64)
    weights[:, -n_logits:] = torch.eye(n_logits, dtype=torch.float64)
    _assert_close(_joined(found, "influence"), compute_influence(share, weights).numpy()[:, :-n_logits])
    errors = graph.adjacency_matrix[-n_logits:, n_features : n_features + found.errors.direct.shape[1]]
    total = graph.adjacency_matrix[-n_logits:].abs().sum(1)
    np.testing.assert_allclose(found.error_share, errors.abs().sum(1) / total, rtol=1e-5)


def _chain() -> tuple[np.ndarray, np.ndarray, NodeOrder]:
    """Features f0 to f2 in layers 0 to 2, one position, one logit.

    Nodes: f0 f1 f2, errors e0 e1 e2, a token, the logit.
    """
    matrix = np.zeros((8, 8), dtype=np.float32)
    matrix[0, 6] = 1.0
    matrix[1, [0, 3, 6]] = 2.0, 1.0, -1.0
    matrix[2, [0, 1, 4]] = 1.0, -3.0, 4.0
    matrix[7, [0, 1, 2, 5, 6]] = 0.5, 3.0, 2.0, -1.0, 0.5
    layout = NodeOrder(
        layer=np.arange(3),
        position=np.zeros(3, dtype=int),
        feature=np.arange(3) + 100,
        n_layers=3,
        tokens=["<bos>"],
        targets=["yes"],
    )
    return matrix, np.array([2.0, 4.0, 6.0]), layout


def test_a_chain_by_hand() -> None:
    matrix, gate, layout = _chain()
    found = exact_scores(matrix, gate, layout)
    f2 = 2.0
    f1 = 3.0 + f2 * -3.0 / 6.0
    f0 = 0.5 + f1 * 2.0 / 4.0 + f2 * 1.0 / 6.0
    np.testing.assert_allclose(found.features.total_effect, [[f0, f1, f2]])
    np.testing.assert_allclose(found.errors.total_effect, [[f1 * 1.0 / 4.0, f2 * 4.0 / 6.0, -1.0]])
    np.testing.assert_allclose(found.tokens.total_effect, [[0.5 + f0 * 1.0 / 2.0 + f1 * -1.0 / 4.0]])
    f2 = 2.0 / 7.0
    f1 = 3.0 / 7.0 + f2 * -3.0 / 8.0
    f0 = 0.5 / 7.0 + f1 * 2.0 / 4.0 + f2 * 1.0 / 8.0
    np.testing.assert_allclose(found.features.influence, [[f0, f1, f2]])
    np.testing.assert_allclose(found.errors.influence, [[f1 * 1.0 / 4.0, f2 * 4.0 / 8.0, -1.0 / 7.0]])
    np.testing.assert_allclose(found.tokens.influence, [[0.5 / 7.0 + f0 * 1.0 + f1 * -1.0 / 4.0]])
    np.testing.assert_allclose(found.error_share, [1.0 / 7.0])


def test_a_feature_without_path_scores_exactly_zero() -> None:
    case = make_case(3)
    alone, middle, high = np.searchsorted(case.level[:40], [0, 1, 2])
    low = alone + 1
    cut = [alone, low, middle, high]
    matrix = case.adjacency.copy()
    matrix[:, cut] = 0.0
    # A path that ends below the logits is none.
    matrix[middle, low] = matrix[high, middle] = 1.0
    found = exact_scores(matrix, _activations(case), _layout(case)).features
    for part in PARTS:
        assert (getattr(found, part)[:, cut] == 0.0).all()
        assert (np.delete(getattr(found, part), cut, axis=1) != 0.0).any()


def test_minus_zero_is_no_effect() -> None:
    case = make_case(4)
    signed = np.where(case.adjacency == 0, -0.0, case.adjacency)
    found = exact_scores(signed, _activations(case), _layout(case))
    for part in PARTS:
        np.testing.assert_array_equal(_joined(found, part), _joined(_scores(case), part))


def test_logits_are_scored_one_at_a_time() -> None:
    case = make_case(6, n_logits=3)
    alone = np.delete(np.delete(case.adjacency, [-1, -3], 0), [-1, -3], 1)
    layout = replace(_layout(case), targets=["next1"])
    found = exact_scores(alone, _activations(case), layout)
    for part in PARTS:
        np.testing.assert_allclose(_joined(found, part)[0], _joined(_scores(case), part)[1], rtol=1e-12)


def test_effects_are_read_from_the_logits_rows() -> None:
    """Trap 1: A[:n_features, -n_logits:] is logit-to-feature, always zero."""
    case = make_case(0)
    n_features, n_logits = int((case.kind == 0).sum()), len(case.probability)
    assert not case.adjacency[:n_features, -n_logits:].any()
    found = _scores(case).features.direct
    assert found.any()
    np.testing.assert_array_equal(found, case.adjacency[-n_logits:, :n_features])
    with pytest.raises(ValueError, match=r"leads to no higher layer; the matrix must be A\[target, source\]"):
        exact_scores(case.adjacency.T.copy(), _activations(case), _layout(case))


def test_an_effect_within_a_layer_is_refused() -> None:
    matrix, gate, layout = _chain()
    matrix[1, 2] = 1e-3
    with pytest.raises(
        ValueError, match=r"feature 102 at layer 2, .* on feature 101 at layer 1, .* no higher"
    ):
        exact_scores(matrix, gate, layout)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        # Trap 5: of several, the one where it begins is told.
        (
            [(7, 2), (2, 4), (2, 1), (1, 3)],
            r"effect of the error at layer 0, position 0 \(token '<bos>'\) on feature 101 at layer 1, "
            r"position 0 \(token '<bos>'\) is NaN or infinite",
        ),
        ([(2, 4), (2, 0), (2, 6)], r"effect of token '<bos>' at position 0 on feature 102 at layer 2"),
        ([(7, 2)], r"effect of feature 102 at layer 2, .* on target 'yes' at the last position"),
        ([(0, 1)], r"effect of feature 101 at layer 1, .* on feature 100 at layer 0"),
        ([(3, 6)], r"effect of token '<bos>' at position 0 on the error at layer 0, position 0"),
    ],
)
def test_numbers_that_are_not_finite_are_located(value, entries, message) -> None:
    matrix, gate, layout = _chain()
    for entry in entries:
        matrix[entry] = value
    with pytest.raises(UserError, match=message) as caught:
        exact_scores(matrix, gate, layout)
    assert "use dtype float32" in str(caught.value)


def test_other_input_that_is_not_finite_is_located() -> None:
    matrix, gate, layout = _chain()
    gate[2] = np.inf
    with pytest.raises(UserError, match=r"activation of feature 102 at layer 2, position 0"):
        exact_scores(matrix, gate, layout)


def test_what_does_not_fit_is_refused() -> None:
    matrix, gate, layout = _chain()
    with pytest.raises(ValueError, match=r"adjacency is of shape \(7, 8\); the node order takes \(8, 8\)"):
        exact_scores(matrix[:-1], gate, layout)
    with pytest.raises(ValueError, match=r"activations is of shape \(2,\); the node order takes \(3,\)"):
        exact_scores(matrix, gate[:2], layout)
    gate[1] = 0.0
    with pytest.raises(
        ValueError, match=r"activation of feature 101 at layer 1, .* is 0; nodes must be active"
    ):
        exact_scores(matrix, gate, layout)
    with pytest.raises(ValueError, match="ordered by layer"):
        replace(layout, layer=np.array([0, 2, 1]))
    with pytest.raises(ValueError, match="between 0 and 1"):
        replace(layout, n_layers=2)


def test_a_logit_without_inputs_has_no_error_share() -> None:
    matrix, gate, layout = _chain()
    matrix[7] = 0.0
    found = exact_scores(matrix, gate, layout)
    assert np.isnan(found.error_share).all()
    assert isinstance(found.features, SourceScores)
    assert not any(getattr(found.features, part).any() for part in PARTS)
