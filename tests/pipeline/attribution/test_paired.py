"""Variants traced together: one target set, and nodes that differ by activity, never by a top-k."""

import gc
import weakref
from itertools import pairwise

import pytest
import torch

from pipeline.attribution.engine import Attribution
from pipeline.attribution.trace import Trace, trace
from tests.support.builders import Checkpoint
from tests.support.subjects import TARGETS, Case, make_adapted

VARIANTS = ("base", "general@1.0", "down@0.5")
NODES = 40
Node = tuple[int, int, int]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_adapted(tmp_path_factory.mktemp("paired") / "x", "llama")


@pytest.fixture(scope="module", params=["per layer", "cross-layer"])
def case(request: pytest.FixtureRequest, checkpoint: Checkpoint) -> Case:
    return Case.of(checkpoint, str(request.param))


def active(found: Trace) -> set[Node]:
    return set(map(tuple, found.graph.active_features.tolist()))


def selected(found: Trace) -> set[Node]:
    graph = found.graph
    return set(map(tuple, graph.active_features[graph.selected_features].tolist()))


def alone(case: Case, variant: str, nodes: int) -> Trace:
    model = case.pool.replacement(variant)
    return trace(model, case.ids, TARGETS, max_feature_nodes=nodes, batch_size=128)


def test_one_target_set(case: Case) -> None:
    targets = [17, 5, 200, 9]
    together = case.together(*VARIANTS, nodes=NODES, targets=targets)
    assert list(together.traces) == list(VARIANTS)
    assert list(together.adapters) == list(VARIANTS[1:])
    traces = [*together.traces.values(), *(found.adapted for found in together.adapters.values())]
    assert all(found.graph.logit_token_ids.tolist() == targets for found in traces)


def test_a_node_is_missing_only_where_it_is_inactive(case: Case) -> None:
    """A top-k of each variant's own would call active features adapted-only or base-only."""
    together = case.together(*VARIANTS, nodes=NODES)
    own = {variant: selected(alone(case, variant, NODES)) for variant in VARIANTS}
    wanted = set().union(*own.values())
    assert all(len(nodes) == NODES for nodes in own.values())
    for variant, found in together.traces.items():
        assert selected(found) == wanted & active(found)
        assert selected(found) > own[variant]
        missing = wanted - selected(found)
        assert missing
        assert not missing & active(found)
        if variant in together.adapters:
            assert selected(together.adapters[variant].adapted) == selected(found)
    # What the mistake would have got wrong on this prompt: active in both, in one top-k only.
    one, other = (own[variant] for variant in VARIANTS[:2])
    both = active(together.traces["base"]) & active(together.traces["general@1.0"])
    assert len((one ^ other) & both) > 5


def test_a_graph_is_the_one_traced_alone_on_the_same_nodes(case: Case) -> None:
    together = case.together(*VARIANTS, nodes=NODES)
    for variant, found in together.traces.items():
        whole = alone(case, variant, 10**6)
        n_selected, n_active = len(found.graph.selected_features), len(whole.graph.active_features)
        assert torch.equal(found.graph.active_features, whole.graph.active_features)
        assert torch.equal(found.graph.activation_values, whole.graph.activation_values)
        others = torch.arange(n_active, len(whole.graph.adjacency_matrix))
        nodes = torch.cat([found.graph.selected_features, others])
        expected = whole.graph.adjacency_matrix[nodes][:, nodes]
        torch.testing.assert_close(found.graph.adjacency_matrix, expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.direct, whole.direct, rtol=0, atol=1e-6)
        rows = torch.cat([found.graph.selected_features, torch.arange(n_active, n_active + len(TARGETS))])
        torch.testing.assert_close(found.constant, whole.constant[rows], rtol=0, atol=1e-6)
        left_out = torch.ones(n_active, dtype=torch.bool)
        left_out[found.graph.selected_features] = False
        remainder = whole.graph.adjacency_matrix[
            torch.cat([found.graph.selected_features, torch.arange(-len(TARGETS), 0)])
        ][:, :n_active][:, left_out].sum(1)
        torch.testing.assert_close(found.unselected, remainder, rtol=0, atol=1e-5)
        assert n_selected < n_active


def test_the_order_of_variants_changes_nothing(case: Case) -> None:
    found = [case.together(*order, nodes=NODES) for order in (VARIANTS, VARIANTS[::-1])]
    for variant in VARIANTS:
        for one, other in pairwise(together.traces[variant] for together in found):
            assert torch.equal(one.graph.adjacency_matrix, other.graph.adjacency_matrix)
            assert torch.equal(one.logits, other.logits)
    for variant in VARIANTS[1:]:
        one, other = (together.adapters[variant] for together in found)
        assert torch.equal(one.adapted.graph.adjacency_matrix, other.adapted.graph.adjacency_matrix)
        assert torch.equal(one.without_patterns, other.without_patterns)


def test_nothing_is_left_behind(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 22: hooks, and rows and gradients, which are the largest things there are."""
    kept: list[weakref.ref[Attribution]] = []
    begin = Attribution.__init__

    def watched(self: Attribution, *arguments: object, **settings: object) -> None:
        kept.append(weakref.ref(self))
        begin(self, *arguments, **settings)

    monkeypatch.setattr(Attribution, "__init__", watched)
    model = case.pool.replacement("base")
    before = model.count_hooks()
    together = case.together(*VARIANTS, nodes=NODES)
    gc.collect()
    assert len(kept) == 5  # base, and two adapted variants in two modes
    assert all(reference() is None for reference in kept)
    assert together.traces.keys() == set(VARIANTS)
    assert case.pool.replacement("base") is model
    assert model.count_hooks() == before
    with pytest.raises(ValueError, match="must be in range"):
        case.together(*VARIANTS, targets=[10**6])
    assert model.count_hooks() == before


def test_without_base_there_is_nothing_to_compare_with(case: Case) -> None:
    together = case.together("general@1.0", nodes=NODES)
    assert together.adapters == {}
    assert together.traces["general@1.0"].adapters is not None


def test_a_node_is_named_as_in_the_model(case: Case) -> None:
    """Traps 2 and 21: a row is another feature in every graph; names are 0-based, as circuit-tracer's."""
    together = case.together(*VARIANTS, nodes=NODES)
    rows = [found.graph.active_features.tolist() for found in together.traces.values()]
    assert rows[0] != rows[1]
    for variant, found in together.traces.items():
        model = case.pool.replacement(variant)
        cached = model.get_activations(torch.tensor(case.ids))[1]
        layer, position, feature = found.graph.active_features.T
        expected = cached[layer, position, feature]
        assert torch.count_nonzero(cached) == len(layer)
        torch.testing.assert_close(found.graph.activation_values, expected, rtol=1e-5, atol=1e-6)
