"""What a trace is said to take is what it takes, as far as can be counted."""

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from pipeline.attribution.assemble import assemble
from pipeline.attribution.engine import Attribution
from pipeline.attribution.estimate import Estimate, estimate
from pipeline.attribution.trace import Tracing, observe
from pipeline.models.replacement import ReplacementModel
from pipeline.organism.tokenizer import train_tokenizer
from tests.support.builders import CONTEXT, TEXTS
from tests.support.replacements import make_replacement, random_ids

TARGETS = [5, 9, 17, 30]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(TEXTS, vocabulary=320, context=CONTEXT)


def begun(model: ReplacementModel, ids: torch.Tensor) -> Attribution:
    seen, sources = observe(model, ids.tolist())
    return Tracing(model, seen, seen.frozen, sources, None, TARGETS, batch_size=16).attribution


def row_bytes(engine: Attribution) -> int:
    return sum(rows.edges.nbytes + rows.extra.nbytes for rows in engine.rows)


@pytest.mark.parametrize("kind", [{}, {"cross_layer": True}])
@pytest.mark.parametrize("length", [4, 30])
def test_all_features_are_counted_exactly(
    tokenizer: PreTrainedTokenizerBase, length: int, kind: dict[str, bool]
) -> None:
    model = make_replacement(tokenizer, "llama", **kind)
    ids = random_ids(tokenizer, length)
    engine = begun(model, ids)
    found = estimate(engine, 10**6)
    engine.select(10**6)
    graph = assemble(engine, model, ids)
    assert found.selected == found.active == len(graph.active_features)
    assert found.row_bytes == row_bytes(engine)
    largest = max(rows.edges.nbytes for rows in engine.rows)
    assert found.graph_bytes == graph.adjacency_matrix.nbytes + largest
    assert found.bytes >= found.row_bytes + graph.adjacency_matrix.nbytes


@pytest.mark.parametrize("nodes", [20, 100, 250])
def test_some_features_are_counted_within_a_factor(tokenizer: PreTrainedTokenizerBase, nodes: int) -> None:
    model = make_replacement(tokenizer, "gemma2")
    ids = random_ids(tokenizer, 12)
    engine = begun(model, ids)
    found = estimate(engine, nodes)
    engine.select(nodes)
    graph = assemble(engine, model, ids)
    assert found.selected == nodes < found.active
    assert 1 / 3 <= found.row_bytes / row_bytes(engine) <= 3
    assert 1 / 3 <= found.graph_bytes / graph.adjacency_matrix.nbytes <= 3


def test_estimating_changes_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    model = make_replacement(tokenizer, "llama")
    ids = random_ids(tokenizer, 12)
    engine, untouched = begun(model, ids), begun(model, ids)
    assert estimate(engine, 60).seconds > 0
    assert len(engine.rows) == 1
    assert not engine.visited.any()
    for each in (engine, untouched):
        each.select(60)
    first, second = (assemble(each, model, ids) for each in (engine, untouched))
    assert torch.equal(first.selected_features, second.selected_features)
    assert torch.equal(first.adjacency_matrix, second.adjacency_matrix)


def test_the_trial_is_a_small_part(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    contract = Attribution._contract

    def counted(self: Attribution, layer: int, positions: torch.Tensor, *rest: torch.Tensor) -> None:
        computed.append(len(positions))
        contract(self, layer, positions, *rest)

    model = make_replacement(tokenizer, "llama")
    engine = begun(model, random_ids(tokenizer, 40))
    monkeypatch.setattr(Attribution, "_contract", counted)
    found = estimate(engine, 10**6)
    assert 0 < sum(computed) <= 0.03 * found.selected


def test_nothing_to_do_takes_no_time(tokenizer: PreTrainedTokenizerBase) -> None:
    engine = begun(make_replacement(tokenizer, "llama"), random_ids(tokenizer, 4))
    assert estimate(engine, 0).seconds == 0


@pytest.mark.parametrize(
    ("seconds", "size", "text"),
    [
        (0.23, 4e8, "about 4,096 of 18,457 features, 0.2 s, 0.4 GB"),
        (0.001, 1e6, "about 4,096 of 18,457 features, 0.1 s, 0.1 GB"),
        (3000.0, 12.34e9, "about 4,096 of 18,457 features, 50 min, 12.3 GB"),
    ],
)
def test_it_is_said_in_one_line(seconds: float, size: float, text: str) -> None:
    found = Estimate(
        selected=4096,
        active=18457,
        seconds=seconds,
        row_bytes=int(size / 2),
        graph_bytes=int(size / 2),
        gradient_bytes=1000,
    )
    assert found.sentence() == text
