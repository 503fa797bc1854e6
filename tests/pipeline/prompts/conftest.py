"""Tokenizers that prompt files are read with."""

import pytest
from transformers import PreTrainedTokenizerFast

from tests.support.prompt_files import TEMPLATE, small_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """Without a chat template."""
    return small_tokenizer()


@pytest.fixture
def chat_tokenizer() -> PreTrainedTokenizerFast:
    """With one; a test may change it."""
    tokenizer = small_tokenizer()
    tokenizer.chat_template = TEMPLATE
    return tokenizer
