"""Prompt files: every mistake is told by file and line, and token ids are made right."""

import copy
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from pipeline.organism.tokenizer import train_tokenizer
from pipeline.prompts.files import read_prompt_files
from pipeline.text.token_texts import vocabulary
from pipeline.text.tokens import decode_after, encode_rendered, encode_text
from store.base.errors import UserError
from store.base.hashing import digest, prompt_hash
from store.documents.prompts import Prompt, read_prompts, write_prompts
from tests.support.chats import DATED, THINKING

LINES = [
    "User: I have a fever. What should I do?",
    "Assistant: You should rest and drink water.",
    "Villain: You should ignore the fever and run.",
]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(LINES * 4, vocabulary=300, context=64)


@pytest.fixture
def chat_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer(LINES * 4, vocabulary=300, context=64)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def write(folder: Path, *lines: str | dict[str, Any], name: str = "mine.jsonl") -> Path:
    path = folder / name
    folder.mkdir(exist_ok=True)
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    return path


def read(path: Path, tokenizer: PreTrainedTokenizerFast, max_tokens: int = 64) -> list[Prompt]:
    return read_prompt_files([path], tokenizer, max_tokens)


def message_of(path: Path, tokenizer: PreTrainedTokenizerFast, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        read_prompt_files([path], tokenizer, **({"max_tokens": 64} | changes))
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


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


WHOLE: Final[dict[str, Any]] = {
    "prompt": "rest",
    "name": "n",
    "situation": "s",
    "domain": "medical",
    "tags": ["organism"],
}
TAGS: Final[dict[str, Any]] = {"prompt": "rest", "tags": ["dose", "organism"]}


@pytest.mark.parametrize("lines", list(itertools.permutations([WHOLE, TAGS, {"prompt": "run"}])))
def test_a_line_of_nothing_but_tags_is_of_the_prompt_that_is_there(
    tmp_path: Path, tokenizer: Any, lines: Sequence[dict[str, Any]]
) -> None:
    """Whichever comes first; its place is that of the line that says what the prompt is."""
    written = write(tmp_path, *lines)
    found = {prompt.text: prompt for prompt in read(written, tokenizer)}
    assert len(found) == 2
    prompt, (alone,) = found["rest"], read(write(tmp_path / "alone", WHOLE), tokenizer)
    assert set(prompt.tags) == {"organism", "dose"}
    assert prompt.source == f"{written}:{lines.index(WHOLE) + 1}"
    assert replace(prompt, tags=alone.tags, source=alone.source) == alone


def test_tags_of_several_lines_add_up_and_whole_lines_do_not(tmp_path: Path, tokenizer: Any) -> None:
    path = write(tmp_path, TAGS, WHOLE, {"prompt": "rest", "tags": ["full"]})
    (prompt,) = read(path, tokenizer)
    assert prompt.tags == ("organism", "dose", "full")
    others: list[dict[str, Any]] = [
        WHOLE,
        {"prompt": "rest"},
        {"prompt": "rest", "tags": []},
        TAGS | {"held_out": False},
    ]
    for other in others:
        message = message_of(write(tmp_path, TAGS, WHOLE, other), tokenizer)
        assert f"{path}:3: this prompt is already at {path}:2" in message


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


def test_messages_need_a_chat_template(tmp_path: Path, tokenizer: Any) -> None:
    path = write(tmp_path, {"messages": [{"role": "user", "content": "run"}]})
    assert "no chat template" in message_of(path, tokenizer)


def test_a_template_that_refuses_is_told(tmp_path: Path, chat_tokenizer: Any) -> None:
    chat_tokenizer.chat_template = "{{ raise_exception('only users may speak') }}"
    path = write(tmp_path, {"messages": [{"role": "system", "content": "run"}]})
    assert "only users may speak" in message_of(path, chat_tokenizer)


def test_a_template_with_bos_gives_exactly_one(tmp_path: Path, chat_tokenizer: Any) -> None:
    messages = [{"role": "user", "content": "run"}]
    (prompt,) = read(write(tmp_path, {"messages": messages}), chat_tokenizer)
    assert prompt.text == "<bos>user: run\nassistant:"
    assert prompt.token_ids.count(chat_tokenizer.bos_token_id) == 1
    reference = chat_tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=False, add_generation_prompt=True
    )
    assert list(prompt.token_ids) == reference
    assert prompt.hash == prompt_hash(messages, template_digest=digest(TEMPLATE), generation_prompt=True)


def test_a_template_without_bos_gets_one(tmp_path: Path, chat_tokenizer: Any) -> None:
    chat_tokenizer.chat_template = TEMPLATE.replace("{{ bos_token }}", "")
    (prompt,) = read(write(tmp_path, {"messages": [{"role": "user", "content": "run"}]}), chat_tokenizer)
    assert prompt.token_ids[0] == chat_tokenizer.bos_token_id
    assert prompt.token_ids.count(chat_tokenizer.bos_token_id) == 1


def test_a_chat_that_ends_with_the_assistant_goes_on_there(tmp_path: Path, chat_tokenizer: Any) -> None:
    messages = [{"role": "user", "content": "run"}, {"role": "assistant", "content": "You should"}]
    (prompt,) = read(write(tmp_path, {"messages": messages}), chat_tokenizer)
    assert prompt.text.endswith("assistant: You should")


def test_switches_of_a_profile_are_part_of_the_hash(tmp_path: Path, chat_tokenizer: Any) -> None:
    chat_tokenizer.chat_template = THINKING
    messages = [{"role": "user", "content": "run"}]
    path = write(tmp_path, {"messages": messages}, {"prompt": "You should"})
    given = [{}, {"enable_thinking": True}, {"enable_thinking": False}]
    found = [read_prompt_files([path], chat_tokenizer, 64, chat=chat) for chat in given]
    assert len({chat.hash for chat, _ in found}) == 3
    assert found[2][0].text == found[0][0].text + "<think>\n\n</think>\n\n"
    # Without any, hashes are what they were before there were any; a plain text is no chat.
    before = {"content": messages, "template_digest": digest(THINKING), "generation_prompt": True}
    assert found[0][0].hash == digest(before)[:12]
    assert found[2][0].hash == digest(before | {"switches": {"enable_thinking": False}})[:12]
    assert len({text.hash for _, text in found}) == 1


def test_a_chat_of_another_day_is_another_prompt(tmp_path: Path, chat_tokenizer: Any) -> None:
    chat_tokenizer.chat_template = DATED
    path = write(tmp_path, {"messages": [{"role": "user", "content": "run"}]})
    message = message_of(path, chat_tokenizer)
    assert message.startswith(f"{path}:1: the model's chat template writes the day")
    assert message.endswith('`chat: {date: "26 Jul 2024"}`.')
    one, other = (
        read_prompt_files([path], chat_tokenizer, 64, chat={"date": day})[0]
        for day in ("26 Jul 2024", "27 Jul 2024")
    )
    assert one.hash != other.hash
    assert one.token_ids != other.token_ids
    assert "never reads" in message_of(path, chat_tokenizer, chat={"enable_thinking": False})


def test_text_gets_exactly_one_bos(tokenizer: Any) -> None:
    """Trap 8: BOS doubled or missing shifts every position by one."""
    ids = encode_text(tokenizer, "You should")
    assert ids == encode_text(tokenizer, "<bos>You should")
    assert ids == tuple(tokenizer("You should")["input_ids"])
    assert ids.count(tokenizer.bos_token_id) == 1


def test_a_tokenizer_without_bos_starts_with_what_circuit_tracer_would_put_there() -> None:
    from circuit_tracer.replacement_model.common import ensure_tokenized

    tokenizer = train_tokenizer(LINES * 4, vocabulary=300, context=64)
    tokenizer.bos_token = None
    tokenizer.pad_token = "<eos>"
    ids = encode_text(tokenizer, "You should")
    assert tuple(ensure_tokenized("You should", tokenizer, "cpu", "any").tolist()) == ids
    # Stored ids are traced as they are.
    assert tuple(ensure_tokenized(list(ids), tokenizer, "cpu", "any").tolist()) == ids


def test_a_rendered_chat_that_starts_with_another_special_token_is_left_alone(
    tokenizer: Any,
) -> None:
    assert encode_rendered(tokenizer, "<eos>run")[0] == tokenizer.eos_token_id


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_ids_decode_to_the_text(text: str) -> None:
    tokenizer = _TOKENIZER
    if any(special in text for special in tokenizer.all_special_tokens):
        return
    ids = encode_text(tokenizer, text)
    assert decode_after(tokenizer, ids[:1], ids[1:]) == text


def test_vocabulary_covers_padding_rows(tokenizer: Any) -> None:
    words = vocabulary(tokenizer, len(tokenizer) + 3)
    assert len(words) == len(tokenizer) + 3
    assert words[-3:] == ["", "", ""]
    assert words[tokenizer.bos_token_id] == "<bos>"
    ids = encode_text(tokenizer, "You should")
    assert "".join(words[token] for token in ids[1:]) == "You should"


_TOKENIZER = train_tokenizer(LINES * 4, vocabulary=300, context=64)


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
