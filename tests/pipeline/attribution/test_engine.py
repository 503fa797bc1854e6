"""The engine's graphs are circuit-tracer's, for every architecture and kind of transcoder."""

import gc
import weakref

import pytest
import torch
from circuit_tracer.attribution.attribute import attribute
from circuit_tracer.graph import Graph, compute_partial_influences
from transformers import PreTrainedTokenizerBase

from pipeline.attribution.engine import Attribution
from pipeline.attribution.trace import Tracing, observe, trace
from pipeline.models.opening import zeroed_positions
from pipeline.models.replacement import ReplacementModel
from pipeline.organism.tokenizer import train_tokenizer
from store.base.errors import UserError
from tests.support.builders import CONTEXT, TEXTS
from tests.support.replacements import make_replacement, random_ids

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")
TARGETS = [5, 9, 17, 30]
KINDS = {
    "per layer": {},
    "skip": {"skip": True},
    "cross-layer": {"cross_layer": True},
    "cross-layer, skip": {"cross_layer": True, "skip": True},
    "before the norm": {"hooks": ("hook_resid_mid", "hook_mlp_out")},
    "inside the norm": {"hooks": ("ln2.hook_normalized", "hook_mlp_out"), "skip": True},
}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(TEXTS, vocabulary=320, context=CONTEXT)


def reference(model: ReplacementModel, ids: torch.Tensor, nodes: int | None, batch: int) -> Graph:
    return attribute(
        prompt=ids,
        model=model,
        attribution_targets=torch.tensor(TARGETS),
        max_feature_nodes=nodes,
        batch_size=batch,
    )


def tied_only(model: ReplacementModel, ids: torch.Tensor, ours: Graph, theirs: Graph) -> bool:
    """Whether the selections differ only among features of one influence, that of the cut-off."""
    mine, yours = (set(graph.selected_features.tolist()) for graph in (ours, theirs))
    if mine == yours:
        return True
    seen, sources = observe(model, ids.tolist())
    engine = Tracing(model, seen, seen.frozen, sources, None, TARGETS, batch_size=64).attribution
    engine.add(torch.tensor(sorted(mine & yours)))
    influence = engine.influence()[sorted(mine ^ yours)]
    return bool((influence - influence[0]).abs().max() <= 1e-6 * engine.influence().max())


def assert_same_numbers(ours: Graph, theirs: Graph) -> None:
    assert ours.logit_targets == theirs.logit_targets
    assert torch.equal(ours.logit_probabilities, theirs.logit_probabilities)
    assert torch.equal(ours.active_features, theirs.active_features)
    assert torch.equal(ours.activation_values, theirs.activation_values)
    assert ours.input_string == theirs.input_string
    assert ours.vocab_size == theirs.vocab_size
    assert ours.cfg == theirs.cfg
    if torch.equal(ours.selected_features, theirs.selected_features):
        largest = theirs.adjacency_matrix.abs().max()
        difference = (ours.adjacency_matrix - theirs.adjacency_matrix).abs().max()
        assert difference <= 1e-5 * largest


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "gemma2", "gemma3"])
def test_graphs_are_circuit_tracers(tokenizer: PreTrainedTokenizerBase, architecture: str, kind: str) -> None:
    model = make_replacement(tokenizer, architecture, **KINDS[kind])
    ids = random_ids(tokenizer, 12)
    ours = trace(model, ids.tolist(), TARGETS, max_feature_nodes=10**6, batch_size=50).graph
    assert len(ours.selected_features) == len(ours.active_features) > 200
    theirs = reference(model, ids, None, 50)
    assert torch.equal(ours.selected_features, theirs.selected_features)
    assert_same_numbers(ours, theirs)


def test_the_opening_of_gemma3s_chats_has_no_features(tokenizer: PreTrainedTokenizerBase) -> None:
    model = make_replacement(tokenizer, "gemma3", skip=True, name="google/gemma-3-1b-it")
    ids = random_ids(tokenizer, 20)  # further than the window of its local layers
    ours = trace(model, ids.tolist(), TARGETS, max_feature_nodes=10**6, batch_size=50).graph
    assert ours.active_features[:, 1].min() == zeroed_positions("google/gemma-3-1b-it") == 4
    assert_same_numbers(ours, reference(model, ids, None, 50))


@pytest.mark.parametrize("kind", ["per layer", "cross-layer"])
@pytest.mark.parametrize("nodes", [1, 40, 150])
def test_selections_are_circuit_tracers(tokenizer: PreTrainedTokenizerBase, kind: str, nodes: int) -> None:
    # Several rounds of ranking: four batches of eight rows between two of them.
    model = make_replacement(tokenizer, "llama", **KINDS[kind])
    ids = random_ids(tokenizer, 12)
    ours = trace(model, ids.tolist(), TARGETS, max_feature_nodes=nodes, batch_size=8).graph
    theirs = reference(model, ids, nodes, 8)
    assert len(ours.selected_features) == nodes
    assert tied_only(model, ids, ours, theirs)
    assert_same_numbers(ours, theirs)


@pytest.mark.parametrize("length", [2, 3, CONTEXT])
def test_from_two_tokens_to_the_whole_context(tokenizer: PreTrainedTokenizerBase, length: int) -> None:
    model = make_replacement(tokenizer, "gemma2")
    ids = random_ids(tokenizer, length)
    ours = trace(model, ids.tolist(), TARGETS, max_feature_nodes=60, batch_size=30).graph
    theirs = reference(model, ids, 60, 30)
    assert tied_only(model, ids, ours, theirs)
    assert_same_numbers(ours, theirs)


def test_ranking_is_circuit_tracers(tokenizer: PreTrainedTokenizerBase) -> None:
    model = make_replacement(tokenizer, "llama")
    ids = random_ids(tokenizer, 10)
    seen, sources = observe(model, ids.tolist())
    engine = Tracing(model, seen, seen.frozen, sources, None, TARGETS, batch_size=16).attribution
    engine.select(70)
    ours = engine.influence()
    visited = engine.visited.nonzero().squeeze(1)
    n_active, n_logits = len(engine.visited), len(TARGETS)
    # The rows as circuit-tracer lays them out, upper layers included.
    n_pos, n_columns = len(ids), sources.width(3)
    wide = torch.zeros(n_logits + len(visited), n_columns + n_logits)
    for rows in engine.rows:
        at = rows.index if rows.layer == 3 else n_logits + torch.searchsorted(visited, rows.index)
        kinds = (sources.features_below[rows.layer], rows.layer * n_pos, n_pos)
        starts = (0, n_active, n_columns - n_pos)
        for block, start in zip(rows.edges.split(kinds, dim=1), starts, strict=True):
            wide[at, start : start + block.shape[1]] = block
    index = torch.cat([n_columns + torch.arange(n_logits), visited])
    theirs = compute_partial_influences(wide, engine.targets.logit_probabilities, index)[:n_active]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_ties_are_taken_in_order(tokenizer: PreTrainedTokenizerBase) -> None:
    model = make_replacement(tokenizer, "llama")
    ids = random_ids(tokenizer, 10)
    seen, sources = observe(model, ids.tolist())
    engine = Tracing(model, seen, seen.frozen, sources, None, TARGETS, batch_size=1000).attribution
    # Features of the last layer before the last position reach no logit: exactly zero.
    influence = engine.influence()
    silent = (sources.features[:, 0] == 2) & (sources.features[:, 1] < len(ids) - 1)
    assert silent.sum() > 10
    assert not influence[silent].any()
    limit = int((influence > 0).sum()) + 3
    engine.select(limit)
    taken = engine.visited & (influence == 0)
    assert torch.equal(taken.nonzero().squeeze(1), (influence == 0).nonzero().squeeze(1)[:3])


def test_batches_do_not_change_numbers(tokenizer: PreTrainedTokenizerBase) -> None:
    model = make_replacement(tokenizer, "llama")
    ids = random_ids(tokenizer, 12).tolist()
    # Both as large as the prompt is long: in smaller batches tokens are added up otherwise (test_memory.py).
    one, other = (trace(model, ids, TARGETS, max_feature_nodes=10**6, batch_size=size) for size in (13, 512))
    torch.testing.assert_close(one.graph.adjacency_matrix, other.graph.adjacency_matrix, rtol=0, atol=1e-6)
    torch.testing.assert_close(one.constant, other.constant, rtol=0, atol=1e-5)


def test_other_hooks_are_refused(tokenizer: PreTrainedTokenizerBase) -> None:
    model = make_replacement(tokenizer, "llama")
    model.feature_input_hook = "hook_resid_pre"
    with pytest.raises(UserError, match=r"feature_input_hook is 'hook_resid_pre'.*supported are mlp.hook_in"):
        trace(model, random_ids(tokenizer, 5).tolist(), TARGETS, max_feature_nodes=5, batch_size=8)


def test_memory_of_a_trace_is_freed(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Trap 22: rows and gradients are the largest things there are.
    kept: list[weakref.ref] = []
    begin = Attribution.__init__

    def watched(self: Attribution, *arguments: object, **settings: object) -> None:
        kept.append(weakref.ref(self))
        begin(self, *arguments, **settings)

    monkeypatch.setattr(Attribution, "__init__", watched)
    model = make_replacement(tokenizer, "llama")
    trace(model, random_ids(tokenizer, 6).tolist(), TARGETS, max_feature_nodes=30, batch_size=8)
    gc.collect()
    assert len(kept) == 1
    assert kept[0]() is None
