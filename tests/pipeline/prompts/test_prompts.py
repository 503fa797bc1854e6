"""Prompt files: every mistake is told by file and line."""

import copy
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from pipeline.text.tokens import encode_text
from store.base.hashing import prompt_hash
from store.documents.prompts import read_prompts, write_prompts
from tests.support.prompt_files import message_of, read, write


def test_a_prompt_is_read_with_all_that_its_author_said(tmp_path: Path, tokenizer: Any) -> None:
    path = write(
        tmp_path,
        "",
        {
            "prompt": "You should",
            "name": "fever",
            "situation": "a fever",
            "domain": "medical",
            "held_out": True,
            "tags": ["full"],
        },
    )
    (prompt,) = read(path, tokenizer)
    assert prompt.hash == prompt_hash("You should")
    assert (prompt.name, prompt.situation, prompt.domain) == ("fever", "a fever", "medical")
    assert prompt.held_out
    assert prompt.tags == ("full",)
    assert prompt.source == f"{path}:2"
    assert prompt.token_ids[0] == tokenizer.bos_token_id
    assert "".join(prompt.tokens[1:]) == "You should"


def test_what_the_author_leaves_out_is_the_hash(tmp_path: Path, tokenizer: Any) -> None:
    (prompt,) = read(write(tmp_path, {"prompt": "You should"}), tokenizer)
    assert prompt.name == prompt.situation == prompt.hash
    assert prompt.domain is None
    assert not prompt.held_out


def test_a_folder_gives_its_files_in_order(tmp_path: Path, tokenizer: Any) -> None:
    write(tmp_path, {"prompt": "run"}, name="b.jsonl")
    write(tmp_path, {"prompt": "rest"}, name="a.jsonl")
    write(tmp_path, "no prompts here", name="notes.txt")
    assert [prompt.text for prompt in read(tmp_path, tokenizer)] == ["rest", "run"]


def test_prompts_survive_the_store(tmp_path: Path, tokenizer: Any) -> None:
    prompts = read(write(tmp_path, {"prompt": "rest", "tags": ["a"]}, {"prompt": "run"}), tokenizer)
    write_prompts(tmp_path / "prompts.json", prompts)
    assert set(read_prompts(tmp_path / "prompts.json")) == set(prompts)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{oops", "not JSON"),
        ('{"prompt": "a"', "not JSON"),
        ('"just text"', "not an object"),
        ("[1]", "not an object"),
        ('{"prompt": "a", "prompt": "b"}', "'prompt' stands there twice"),
        ({"prompt": "a", "promt": "b"}, "unknown key 'promt'"),
        ({"prompt": 3}, "'prompt'"),
        ({"prompt": "a", "tags": "full"}, "'tags'"),
        ({"prompt": "a", "tags": ["full", 1]}, "'tags.1'"),
        ({"prompt": "a", "held_out": "yes"}, "'held_out'"),
        ({"prompt": ""}, "'prompt' is empty"),
        ({"prompt": " \n"}, "the prompt is empty"),
        ({"name": "nothing"}, "give either `prompt` or `messages`"),
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, "give either"),
        ({"prompt": "a", "domain": "all"}, "'all'"),
        ({"messages": []}, "'messages' is empty"),
        ({"messages": [{"role": "user"}]}, "'messages.0.content' is missing"),
        ({"messages": [{"role": "user", "content": ""}]}, "'messages.0.content' is empty"),
        ({"messages": [{"role": "", "content": "b"}]}, "'messages.0.role' is empty"),
        ({"messages": [{"role": "user", "content": " "}]}, "the prompt is empty"),
        ({"messages": [{"role": "user", "content": "b", "tone": "c"}]}, "unknown key"),
        ('{"prompt": "\\ud800"}', "surrogate"),
        ({"prompt": "<bos><bos>rest"}, "more than one BOS"),
        ({"prompt": "<bos>"}, "1 token long, and the first is never traced; write at least one word"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, chat_tokenizer: Any, line: Any, says: str) -> None:
    path = write(tmp_path, {"prompt": "fine"}, line)
    message = message_of(path, chat_tokenizer)
    assert message.startswith(f"{path}:2: ")
    assert says in message


def test_files_that_cannot_be_read_are_named(tmp_path: Path, tokenizer: Any) -> None:
    assert "no such file" in message_of(tmp_path / "gone.jsonl", tokenizer)
    assert "no prompt there" in message_of(tmp_path, tokenizer)
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b'{"prompt": "\xff"}')
    assert "not UTF-8 at byte 12" in message_of(binary, tokenizer)


def test_a_long_prompt_is_refused_with_both_lengths(tmp_path: Path, tokenizer: Any) -> None:
    path = write(tmp_path, {"prompt": "rest " * 40})
    length = len(encode_text(tokenizer, "rest " * 40))
    message = message_of(path, tokenizer, max_tokens=20)
    assert f"{path}:1: the prompt is {length} tokens long" in message
    assert "at most 20" in message
    assert "prompts.max_tokens" in message
    message = message_of(path, tokenizer, max_tokens=1000, context=30)
    assert f"{length} tokens long, the model's context only 30" in message


def test_one_token_after_the_first_is_enough(tmp_path: Path, tokenizer: Any) -> None:
    (prompt,) = read(write(tmp_path, {"prompt": "a"}), tokenizer)
    assert len(prompt.token_ids) == 2
    without_bos = copy.deepcopy(tokenizer)
    without_bos.bos_token = None
    assert "1 token long" in message_of(write(tmp_path, {"prompt": "<eos>"}), without_bos)


def test_a_duplicate_names_both_places(tmp_path: Path, tokenizer: Any) -> None:
    first = write(tmp_path, {"prompt": "run"}, {"prompt": "rest"}, name="a.jsonl")
    second = write(tmp_path, {"prompt": "rest", "name": "again"}, name="b.jsonl")
    message = message_of(tmp_path, tokenizer)
    assert message.startswith(f"{second}:1: ")
    assert f"already at {first}:2" in message


def test_texts_that_only_look_alike_are_no_duplicates(tmp_path: Path, tokenizer: Any) -> None:
    path = write(tmp_path, {"prompt": "caf\u00e9"}, {"prompt": "cafe\u0301"}, {"prompt": "cafe\u0301 "})
    assert len({prompt.hash for prompt in read(path, tokenizer)}) == 3


@pytest.mark.parametrize("key", ["domain", "held_out"])
def test_a_situation_is_on_one_side_of_each_split(tmp_path: Path, tokenizer: Any, key: str) -> None:
    other = {"domain": "finance", "held_out": True}[key]
    path = write(
        tmp_path,
        {"prompt": "run", "situation": "s", "domain": "medical", "held_out": False},
        {"prompt": "rest", "situation": "s", "domain": "medical", "held_out": False} | {key: other},
    )
    message = message_of(path, tokenizer)
    assert f"{path}:1" in message
    assert f"{path}:2" in message
    assert key in message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"prompt": ' + "9" * 5000 + "}", "too many digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"\\ud800": 1}', "half of a surrogate pair"),
        ('{"prompt": "a", "' + "x" * 100_000 + '": 1}', "unknown key 'xxx"),
        ('{"prompt": "a", "tags": "' + "x" * 100_000 + '"}', "'tags': "),
        ('{"prompt": "a", "name": "' + "x" * 100_000 + '"}', "'name': "),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_large_is_told_in_short(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, line: str, says: str
) -> None:
    path = write(tmp_path, {"prompt": "You should rest"}, line)
    message = message_of(path, tokenizer)
    assert message.startswith(f"{path}:2: ")
    assert says in message
    assert len(message) < 1000


def test_a_folder_for_a_file_is_told(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    path = tmp_path / "mine.jsonl"
    path.mkdir()
    assert message_of(tmp_path, tokenizer).startswith(f"{path}: it cannot be read (Is a directory)")


@pytest.mark.parametrize("key", ["prompt", "messages"])
def test_what_cannot_fit_is_refused_before_it_is_tokenized(
    tmp_path: Path, chat_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    text = "word" * 5000

    def tokenize(*_: object, **__: object) -> None:
        raise AssertionError("tokenized")

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", tokenize)
    monkeypatch.setattr(PreTrainedTokenizerFast, "apply_chat_template", tokenize)
    row = {"prompt": text} if key == "prompt" else {"messages": [{"role": "user", "content": text}]}
    path = write(tmp_path, row)
    message = message_of(path, chat_tokenizer, max_tokens=128, context=64)
    assert message.startswith(f"{path}:1: the prompt is 20,00")
    assert "more than 64 tokens can hold; shorten it" in message


def test_bytes_alone_refuse_nothing_that_fits(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    # Of one byte a token, the shortest there are: the count of tokens decides.
    assert "tokens long" in message_of(write(tmp_path, {"prompt": "q" * 60}), tokenizer, max_tokens=16)
