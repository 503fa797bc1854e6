"""Held-out texts: tokenized once, every bad line named."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from pipeline.organism.tokenizer import train_tokenizer
from pipeline.text.held_out import read_texts
from store.base.errors import UserError


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(["You should rest and run."] * 4, vocabulary=280, context=64)


def write(folder: Path, content: bytes) -> Path:
    path = folder / "heldout.jsonl"
    path.write_bytes(content)
    return path


def test_texts_get_one_bos_and_end_with_the_context(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    path = write(tmp_path, b'{"text": "You should rest"}\n\n{"text": "You should run and run"}\n')
    first, second = read_texts(path, tokenizer, 4)
    assert first == tuple(tokenizer("You should rest")["input_ids"])[:4]
    assert len(second) == 4
    assert [ids.count(tokenizer.bos_token_id) for ids in (first, second)] == [1, 1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"{", "not JSON"),
        (b'{"text": ' + b"9" * 5000 + b"}", "too many digits"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"text": "a", "text": "b"}', "'text' stands there twice"),
        (b"[]", "not of the form"),
        (b'{"text": 3}', "not of the form"),
        (b'{"text": "a", "more": 1}', "not of the form"),
        (b'{"text": " "}', "empty"),
        (b'{"text": "<bos><bos>rest"}', "more than one BOS"),
        (b'{"text": "\\ud800"}', "surrogate"),
    ],
)
def test_a_bad_line_is_named(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, line: bytes, says: str
) -> None:
    path = write(tmp_path, b'{"text": "fine"}\n' + line + b"\n")
    with pytest.raises(UserError) as caught:
        read_texts(path, tokenizer, 64)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert says in str(caught.value)


def test_a_bad_file_is_named(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match=r"gone\.jsonl: no such file"):
        read_texts(tmp_path / "gone.jsonl", tokenizer, 64)
    with pytest.raises(UserError, match="no text there"):
        read_texts(write(tmp_path, b"\n"), tokenizer, 64)
    with pytest.raises(UserError, match="not UTF-8 at byte 10"):
        read_texts(write(tmp_path, b'{"text": "\xff"}'), tokenizer, 64)
