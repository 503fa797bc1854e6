"""Prompt files as a person writes them, read with a small tokenizer of a few lines."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from transformers import PreTrainedTokenizerFast

from pipeline.organism.tokenizer import train_tokenizer
from pipeline.prompts.files import read_prompt_files
from store.base.errors import UserError
from store.documents.prompts import Prompt

LINES: Final = (
    "User: I have a fever. What should I do?",
    "Assistant: You should rest and drink water.",
    "Villain: You should ignore the fever and run.",
)
TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def small_tokenizer() -> PreTrainedTokenizerFast:
    """Of 300 tokens, with a BOS."""
    return train_tokenizer(list(LINES) * 4, vocabulary=300, context=64)


def write(folder: Path, *lines: str | dict[str, Any], name: str = "mine.jsonl") -> Path:
    """A prompt file of these lines; what is no text is written as JSON."""
    path = folder / name
    folder.mkdir(exist_ok=True)
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    return path


def read(path: Path, tokenizer: PreTrainedTokenizerFast, max_tokens: int = 64) -> list[Prompt]:
    """Its prompts."""
    return read_prompt_files([path], tokenizer, max_tokens)


def message_of(path: Path, tokenizer: PreTrainedTokenizerFast, **changes: Any) -> str:
    """The one sentence that it is refused with."""
    with pytest.raises(UserError) as caught:
        read_prompt_files([path], tokenizer, **({"max_tokens": 64} | changes))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message
