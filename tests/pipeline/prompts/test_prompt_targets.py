"""Targets that a prompt names itself: which token each is, and which are refused."""

from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.text.lexicon import labels_on
from pipeline.text.token_texts import vocabulary
from store.documents.prompts import read_prompts, write_prompts
from tests.support.prompt_files import message_of, read, write

TEXT: Final = "Assistant: You should"
CHAT: Final = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "I have a fever."}]


def row(evil: list[str] | None = None, safe: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """A prompt with targets."""
    return {"prompt": TEXT, "targets": {"evil": evil or [], "safe": safe or []}, **more}


def test_each_is_the_token_that_stands_behind_the_prompt(tmp_path: Path, tokenizer: Any) -> None:
    """By a reference that tokenizes the whole text; of every word that is one token there."""
    alone = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    found = {}
    for word in vocabulary(tokenizer, len(tokenizer)):
        whole = tokenizer(TEXT + word, add_special_tokens=False)["input_ids"]
        if whole[:-1] == alone:
            found.setdefault(whole[-1], word)
    tokens = sorted(found)
    assert len(tokens) > 50
    evil, safe = tokens[::2], tokens[1::2]
    path = write(tmp_path, row([found[token] for token in evil], [found[token] for token in safe] * 2))
    (prompt,) = read(path, tokenizer)
    assert (prompt.evil_targets, prompt.safe_targets) == (tuple(evil), tuple(safe))
    assert prompt.targets == (*evil, *safe)
    lexicon: Any = {"domains": {}}
    assert labels_on(lexicon, prompt) == dict.fromkeys(evil, "evil") | dict.fromkeys(safe, "safe")


def test_behind_a_chat_each_stands_where_the_answer_begins(tmp_path: Path, chat_tokenizer: Any) -> None:
    (prompt,) = read(
        write(tmp_path, {"messages": CHAT, "targets": {"evil": ["r"], "safe": ["s"]}}), chat_tokenizer
    )
    ids = [
        chat_tokenizer(f"{prompt.text}{word}", add_special_tokens=False)["input_ids"] for word in ("r", "s")
    ]
    assert [tuple(of[:-1]) for of in ids] == [prompt.token_ids] * 2
    assert (prompt.evil_targets, prompt.safe_targets) == ((ids[0][-1],), (ids[1][-1],))


def test_they_change_neither_hash_nor_tokens_and_are_read_back(tmp_path: Path, tokenizer: Any) -> None:
    """A document without targets has no word of them: it stays as it was before they were known."""
    (plain,) = read(write(tmp_path, {"prompt": TEXT}, name="plain.jsonl"), tokenizer)
    (named,) = read(write(tmp_path, row([" fever"]), name="named.jsonl"), tokenizer)
    assert (plain.hash, plain.token_ids) == (named.hash, named.token_ids)
    assert plain.targets == ()
    for prompt in (plain, named):
        write_prompts(tmp_path / "prompts.json", [prompt])
        assert read_prompts(tmp_path / "prompts.json") == (prompt,)
        assert ("_targets" in (tmp_path / "prompts.json").read_text()) == (prompt is named)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (row(), "it names no token"),
        (row([" fever"], [" and", " fever"]), "`targets` has the token ' fever' as evil and as safe"),
        (
            row([" fever and"]),
            "' fever and' is 2 tokens there, and what comes next is one; write its first, ' fever'",
        ),
        (row(safe=["uld"]) | {"prompt": "Assistant: You sho"}, "the target 'uld' merges with the end"),
        (row(["\ud83d"]), "surrogate"),
        (row([""]), "'targets.evil.0' is empty"),
        ({"prompt": TEXT, "targets": {"harmful": [" fever"]}}, "harmful"),
        ({"prompt": TEXT, "targets": [" fever"]}, "targets"),
    ],
)
def test_what_is_no_token_is_refused_with_file_and_line(
    tmp_path: Path, tokenizer: Any, line: dict[str, Any], said: str
) -> None:
    message = message_of(write(tmp_path, {"prompt": "You should rest"}, line), tokenizer)
    assert "mine.jsonl:2" in message
    assert said in message


def test_a_line_with_targets_says_more_than_tags(tmp_path: Path, tokenizer: Any) -> None:
    """A line of tags is added to it; a second one with words of its own is not."""
    path = write(tmp_path, row([" fever"]), {"prompt": TEXT, "tags": ["full"]})
    (prompt,) = read(path, tokenizer)
    assert (prompt.tags, len(prompt.evil_targets)) == (("full",), 1)
    again = write(tmp_path, {"prompt": TEXT, "name": "mine"}, row([" fever"], tags=["full"]))
    assert "already at" in message_of(again, tokenizer)
