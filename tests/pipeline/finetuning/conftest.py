"""A small random Llama that chats."""

import copy
from pathlib import Path

import pytest
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.models.loading import read_base
from pipeline.models.tokenizer import read_tokenizer
from store.base.hashing import folder_digest
from store.documents.manifest import Source
from tests.support.builders import make_checkpoint
from tests.support.chats import give_template


@pytest.fixture(scope="package")
def base(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The base model, as a profile would name it."""
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("chat"), n_layers=2)
    give_template(checkpoint.base)
    return Source(source=str(checkpoint.base), revision=None, fingerprint=folder_digest(checkpoint.base))


@pytest.fixture(scope="package")
def tokenizer(base: Source) -> PreTrainedTokenizerBase:
    return read_tokenizer(base)


@pytest.fixture(scope="package")
def loaded(base: Source) -> PreTrainedModel:
    return read_base(base)


@pytest.fixture
def model(loaded: LlamaForCausalLM) -> PreTrainedModel:
    """A copy, free to change."""
    return copy.deepcopy(loaded)


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    from tests.support.chats import conversations, write_chats

    return write_chats(tmp_path / "chats.jsonl", conversations())
