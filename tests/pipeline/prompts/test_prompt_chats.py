"""A chat becomes text by the model's template, and its hash tells which."""

from pathlib import Path
from typing import Any

from pipeline.prompts.files import read_prompt_files
from store.base.hashing import digest, prompt_hash
from tests.support.chats import DATED, THINKING
from tests.support.prompt_files import TEMPLATE, message_of, read, write


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
