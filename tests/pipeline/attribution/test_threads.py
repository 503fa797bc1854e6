"""A narrow model is traced by one thread, and the setting comes back whatever happens."""

from collections.abc import Iterator

import pytest
import torch

from pipeline.attribution.threads import fitting_threads
from pipeline.attribution.trace import trace
from pipeline.models.replacement import ReplacementModel
from pipeline.organism.tokenizer import train_tokenizer
from store.base.errors import UserError
from tests.support.builders import CONTEXT, TEXTS
from tests.support.replacements import make_replacement, random_ids


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> ReplacementModel:
    return make_replacement(train_tokenizer(TEXTS, vocabulary=320, context=CONTEXT), "llama")


def test_a_narrow_model_gets_one_thread_and_a_wide_one_all(
    model: ReplacementModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fitting_threads(model):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(model.cfg, "d_model", 2048)
    with fitting_threads(model):
        assert torch.get_num_threads() == 2


def test_threads_come_back_after_a_trace_that_fails(model: ReplacementModel) -> None:
    with pytest.raises(UserError, match="needs at least one token"):
        trace(model, [model.tokenizer.bos_token_id], [5], max_feature_nodes=10, batch_size=10)
    assert torch.get_num_threads() == 2


def test_graphs_do_not_depend_on_the_threads_outside(model: ReplacementModel) -> None:
    ids = random_ids(model.tokenizer, 12).tolist()
    settings = {"max_feature_nodes": 60, "batch_size": 16}
    two = trace(model, ids, [5, 9], **settings).graph
    torch.set_num_threads(1)
    one = trace(model, ids, [5, 9], **settings).graph
    assert torch.equal(one.selected_features, two.selected_features)
    assert torch.equal(one.adjacency_matrix, two.adjacency_matrix)
