"""Where there is no GPU: everything that the engine makes is made where its input is."""

import pytest
import torch
from circuit_tracer.graph import Graph
from transformers import PreTrainedTokenizerBase

from pipeline.attribution.assemble import Gathered, assemble, gather
from pipeline.attribution.estimate import estimate
from pipeline.attribution.frozen import run_forward
from pipeline.attribution.source_nodes import collect_sources
from pipeline.attribution.trace import Tracing
from pipeline.models.replacement import ReplacementModel
from pipeline.organism.tokenizer import train_tokenizer
from tests.support.builders import CONTEXT, TEXTS
from tests.support.replacements import make_replacement, random_ids


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(TEXTS, vocabulary=320, context=CONTEXT)


@torch.no_grad()
def attributed(model: ReplacementModel, ids: torch.Tensor) -> tuple[Graph, Gathered]:
    seen = run_forward(model, ids)
    sources = collect_sources(model, seen)
    engine = Tracing(model, seen, seen.frozen, sources, None, [5, 9, 17], batch_size=16).attribution
    estimate(engine, 100)
    engine.select(100)
    return assemble(engine, model, ids), gather(engine)


@pytest.mark.parametrize("kind", [{}, {"skip": True}, {"cross_layer": True}])
@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
def test_the_engine_makes_nothing_on_another_device(
    tokenizer: PreTrainedTokenizerBase, architecture: str, kind: dict[str, bool]
) -> None:
    model, ids = make_replacement(tokenizer, architecture, **kind), random_ids(tokenizer, 12)
    graph, gathered = attributed(model, ids)
    # Nothing is computed on this device: what is made there by default raises, or changes numbers.
    with torch.device("meta"):
        same_graph, same_gathered = attributed(model, ids)
    assert torch.equal(graph.adjacency_matrix, same_graph.adjacency_matrix)
    assert torch.equal(graph.selected_features, same_graph.selected_features)
    for name in ("direct", "unselected", "constant"):
        assert torch.equal(getattr(gathered, name), getattr(same_gathered, name))
