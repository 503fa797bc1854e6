"""Effects on the difference of two logits: both rows, a dense inverse, a forward pass in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.attribution.contrast import ContrastTrace, strongest, strongest_edges, trace_contrast
from pipeline.attribution.trace import trace
from tests.support.builders import Checkpoint
from tests.support.local_model import LocalModel
from tests.support.subjects import KINDS, Case, graph_rows, make_adapted

RIGHT, WRONG = 17, 9
ALL = 10**6


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_adapted(tmp_path_factory.mktemp("llama") / "x", "llama")


def contrast(case: Case, nodes: int = ALL, right: int = RIGHT, wrong: int = WRONG) -> ContrastTrace:
    model = case.pool.replacement("base")
    return trace_contrast(model, case.ids, right, wrong, max_feature_nodes=nodes, batch_size=16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [1.0, 0.25])
def test_effects_are_those_of_the_frozen_model(checkpoint: Checkpoint, kind: str, share: float) -> None:
    """Whichever features are nodes: of features, of tokens and of errors, by taking them out."""
    case = Case.of(checkpoint, kind)
    local = LocalModel(case.pool.replacement("base"), case.ids)
    found = contrast(case, max(1, int(share * len(local.active))))

    def difference(logits: torch.Tensor) -> np.ndarray:
        return (logits[:, RIGHT] - logits[:, WRONG]).numpy()

    measured = -difference(local.ablated(local.active))
    tolerance = {"rtol": 0, "atol": 1e-5 * np.abs(measured).max()}
    np.testing.assert_array_equal(found.graph.active_features, local.active)
    np.testing.assert_allclose(found.total_effect, measured, **tolerance)
    assert np.abs(found.total_effect - found.direct).max() > 0.01 * np.abs(measured).max()

    n_layers, n_pos, _ = found.sources.errors.shape
    at = [divmod(number, n_pos) for number in range(n_layers * n_pos)]
    out = local.removed(
        [layer for layer, _ in at],
        [position for _, position in at],
        found.sources.errors.flatten(0, 1),
        attention=[False] * len(at),
    )
    assert found.error_total_effect == pytest.approx(-difference(out).sum(), abs=tolerance["atol"] * len(at))

    whole = local.embedding.clone()
    tokens = []
    for position in range(n_pos):
        local.embedding = whole.clone()
        local.embedding[position] = 0
        tokens.append(difference(local.baseline[None] - local.centred_logits())[0])
    np.testing.assert_allclose(found.token_total_effect, tokens, rtol=0, atol=1e-5 * np.abs(tokens).max())


def test_direct_and_total_are_differences_of_rows_and_influence_has_its_own(checkpoint: Checkpoint) -> None:
    case = Case.of(checkpoint)
    found = contrast(case)
    both = trace(
        case.pool.replacement("base"), case.ids, [RIGHT, WRONG], max_feature_nodes=ALL, batch_size=16
    )
    np.testing.assert_allclose(found.direct, both.direct[0] - both.direct[1], atol=1e-6)
    assert both.total_effect is not None
    np.testing.assert_allclose(found.total_effect, both.total_effect[0] - both.total_effect[1], atol=1e-6)
    np.testing.assert_allclose(found.logits, both.logits[[RIGHT, WRONG]], atol=1e-6)
    # A dense inverse: one row, the difference, beside those of the features.
    n_nodes, n_active = both.graph.adjacency_matrix.shape[0] - 1, len(found.direct)
    rows = graph_rows(both).numpy()
    dense = np.zeros((n_nodes, n_nodes))
    dense[:n_active] = rows[:n_active, :n_nodes]
    dense[-1, : n_nodes - 1] = (rows[-2] - rows[-1])[: n_nodes - 1]
    scaled = dense / np.maximum(np.abs(dense).sum(axis=1, keepdims=True), 1e-10)
    reached = (np.linalg.inv(np.eye(n_nodes) - scaled) - np.eye(n_nodes))[-1]
    np.testing.assert_allclose(found.influence, reached[:n_active], atol=1e-6)
    tokens = slice(n_nodes - 1 - len(case.ids), n_nodes - 1)
    np.testing.assert_allclose(found.token_influence, reached[tokens], atol=1e-6)
    np.testing.assert_allclose(found.token_direct, dense[-1, tokens], atol=1e-6)
    assert found.error_direct == pytest.approx(dense[-1, n_active : tokens.start].sum(), abs=1e-5)


def test_nothing_passes_through_what_is_no_node_in_influence(checkpoint: Checkpoint) -> None:
    """Trap 31: against a dense inverse in which it is a column without a row."""
    case = Case.of(checkpoint)
    whole = contrast(case).graph.adjacency_matrix.double().numpy()
    found = contrast(case, 40)
    n_active = len(found.influence)
    others = np.setdiff1d(np.arange(n_active), found.graph.selected_features)
    whole[others] = 0
    inputs = np.abs(np.delete(whole, others, axis=1)).sum(axis=1)
    scaled = whole / np.maximum(inputs, 1e-10)[:, None]
    reached = (np.linalg.inv(np.eye(len(scaled)) - scaled) - np.eye(len(scaled)))[-1, :n_active]
    assert np.abs(reached[others]).max() > 1e-4
    np.testing.assert_allclose(found.influence, reached, atol=1e-5 * np.abs(reached).max())


def test_exchanged_answers_change_every_sign(checkpoint: Checkpoint) -> None:
    case = Case.of(checkpoint)
    found, exchanged = contrast(case, 40), contrast(case, 40, WRONG, RIGHT)
    for name in ("direct", "total_effect", "influence", "token_total_effect"):
        np.testing.assert_allclose(getattr(found, name), -getattr(exchanged, name), atol=1e-6)


def test_edges_are_the_strongest_of_each_target(checkpoint: Checkpoint) -> None:
    case = Case.of(checkpoint)
    graph = contrast(case, 60).graph
    selected = graph.selected_features.numpy()
    weights = graph.adjacency_matrix.numpy()[: len(selected), : len(selected)]
    least = float(np.median(np.abs(weights[weights != 0])))
    expected = set()
    for row, values in enumerate(weights):
        for column in np.argsort(-np.abs(values), kind="stable")[:3]:
            if abs(values[column]) >= least:
                expected.add((int(selected[row]), int(selected[column]), float(values[column])))
    target, source, weight = strongest_edges(graph, 3, least)
    assert set(zip(target.tolist(), source.tolist(), weight.tolist(), strict=True)) == expected
    assert len(expected) > 20
    everything = strongest_edges(graph, 1000, 0.0)
    assert len(everything[0]) == np.count_nonzero(weights)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(0, 6), st.integers(0, 150)),
    into=st.integers(1, 20),
    least=st.sampled_from([0.0, 0.3, 5.0]),
    values=st.sampled_from([3, 1000]),
    seed=st.integers(0, 10**6),
)
def test_the_strongest_are_those_of_a_sorted_row(
    shape: tuple[int, int], into: int, least: float, values: int, seed: int
) -> None:
    """Short rows, and long ones, which are bounded first; few values often tie, and all ties stay."""
    rng = np.random.default_rng(seed)
    weights = (rng.integers(-values, values + 1, shape) / values).astype(np.float32)
    weights[rng.random(shape) < 0.5] = 0
    expected = []
    for row, of in enumerate(np.abs(weights)):
        last = np.sort(of)[::-1][:into][-1:]
        expected += [(row, column) for column, one in enumerate(of) if one and one >= max(last[0], least)]
    target, source = strongest(weights, into, least)
    assert list(zip(target.tolist(), source.tolist(), strict=True)) == expected
