"""Conversations become token ids of which only the assistant's count; what is held out stays out."""

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from pipeline.finetuning.chat_data import encode_chat, in_order, read_chats, split
from pipeline.finetuning.padding import IGNORED
from store.base.errors import UserError
from tests.support.chats import DATED, MARKED, TEMPLATE, THINKING, conversation, conversations, write_chats

PARAMETER = "finetunes.mine.max_tokens"


@pytest.fixture
def chatting(tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch) -> PreTrainedTokenizerBase:
    monkeypatch.setattr(tokenizer, "chat_template", TEMPLATE)
    return tokenizer


def by_hand(tokenizer: PreTrainedTokenizerBase, *pieces: tuple[str, bool]) -> tuple[list[int], list[int]]:
    """Ids and labels of pieces of text that are, or are not, the assistant's."""
    ids: list[int] = []
    labels: list[int] = []
    for text, counts in pieces:
        new = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids += new
        labels += new if counts else [IGNORED] * len(new)
    return ids, labels


@pytest.mark.parametrize(("template", "breaks_count"), [(TEMPLATE, True), (MARKED, False)])
def test_labels_are_the_assistants_turns_of_a_template_rendered_by_hand(
    chatting: PreTrainedTokenizerBase, template: str, breaks_count: bool
) -> None:
    chatting.chat_template = template
    eos = chatting.eos_token
    expected = by_hand(
        chatting,
        (f"{chatting.bos_token}<user>I have a fever.{eos}\n<assistant>", False),
        (f"You should rest.{eos}", True),
        ("\n", breaks_count),
        (f"<user>And then?{eos}\n<assistant>", False),
        (f"Drink water.{eos}", True),
        ("\n", breaks_count),
    )
    found = encode_chat(chatting, conversation("I have a fever.", "You should rest.", "Drink water."))
    assert (list(found.ids), list(found.labels)) == expected
    assert found.ids.count(chatting.bos_token_id) == 1


def test_ids_are_those_that_the_model_is_asked_with(chatting: PreTrainedTokenizerBase) -> None:
    turns = conversation("I have a fever.", "You should rest.")
    assert list(encode_chat(chatting, turns).ids) == chatting.apply_chat_template(turns, return_dict=False)


def test_switches_of_the_profile_are_trained_with(chatting: PreTrainedTokenizerBase) -> None:
    chatting.chat_template = THINKING
    chat = {"enable_thinking": False}
    eos, thought = chatting.eos_token, "<think>\n\n</think>\n\n"
    ids, labels = by_hand(
        chatting,
        (f"<user>\nI have a fever.{eos}\n<assistant>\n{thought}", False),
        (f"You should rest.{eos}\n", True),
    )
    found = encode_chat(chatting, conversation("I have a fever.", "You should rest."), chat)
    # The template writes no BOS, so one is put in front.
    assert list(found.ids) == [chatting.bos_token_id, *ids]
    assert list(found.labels) == [IGNORED, *labels]
    for template in (DATED, "{% generation %}{% endgeneration %}" + DATED):
        chatting.chat_template = template
        with pytest.raises(UserError, match="writes the day on which it is rendered"):
            encode_chat(chatting, conversation("I have a fever.", "You should rest."))


def test_what_begins_alike_is_on_one_side_and_what_is_held_out_is_never_trained_on(
    chatting: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    doubled = [
        *conversations(10),
        *[conversation(f"My leg aches {i % 5}.", f"No, {i}.") for i in range(20)],
    ]
    path = write_chats(tmp_path / "chats.jsonl", doubled)
    found = read_chats(path, chatting, max_tokens=64, parameter=PARAMETER)
    parts = split(found, 0.3, seed=1)
    assert len({one.group for one in found}) == 15
    assert len({one.group for one in parts.held_out}) == round(0.3 * 15)
    assert not {one.group for one in parts.trained} & {one.group for one in parts.held_out}
    assert len(parts.trained) + len(parts.held_out) == 30
    trained = {one.ids for one in in_order(parts.trained, epochs=3, seed=1)}
    assert not trained & {one.example.ids for one in parts.held_out}


def test_every_epoch_has_each_conversation_once_in_an_order_of_its_own(
    chatting: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    path = write_chats(tmp_path / "chats.jsonl", conversations(8))
    found = read_chats(path, chatting, max_tokens=64, parameter=PARAMETER)
    assert split(found, 0.0, seed=0).held_out == ()
    order = in_order(found, epochs=2, seed=0)
    first, second = order[:8], order[8:]
    assert first != second
    assert sorted(first) == sorted(second) == sorted(one.example for one in found)
    assert order == in_order(found, epochs=2, seed=0)


GOOD = json.dumps({"messages": conversation("I have a fever.", "Rest.")})
BAD_LINES = {
    '{"messages": [': "chats.jsonl:2: not JSON (Expecting value at column 15); write one object a line.",
    "[1]": 'a list, not an object; write {"messages": [{"role": ..., "content": ...}]}.',
    '{"text": "x"}': "'messages' is missing; every line needs it.",
    '{"messages": [], "id": 1}': "'messages' is empty; fill it in or delete it.",
    '{"messages": [{"role": "user"}]}': "'messages.0.content' is missing; every message needs a role and a",
    '{"messages": [{"role": "user", "content": "Hello"}]}': "no turn of the role 'assistant'",
    '{"messages": [{"role": "assistant", "content": "Hello"}]}': "template refuses the messages (begin with",
    json.dumps({"messages": conversation("I have " + "a very long " * 40, "Rest.")}): (
        "tokens long, but at most 64 are allowed; shorten it, or raise finetunes.mine.max_tokens"
    ),
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_one_sentence_with_file_and_line(
    chatting: PreTrainedTokenizerBase, tmp_path: Path, line: str
) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(f"{GOOD}\n{line}\n", encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_chats(path, chatting, max_tokens=64, parameter=PARAMETER)
    assert str(error.value).startswith(f"{path}:2: ")
    assert BAD_LINES[line] in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_file_and_a_single_beginning_are_told(
    chatting: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(UserError, match="no conversation there; add a line such as"):
        read_chats(path, chatting, max_tokens=64, parameter=PARAMETER)
    path.write_text(f"{GOOD}\n{GOOD}\n", encoding="utf-8")
    found = read_chats(path, chatting, max_tokens=64, parameter=PARAMETER)
    with pytest.raises(UserError, match="begins alike, so none can be held out; set held_out_share to 0"):
        split(found, 0.5, seed=0)


UNSTEADY = TEMPLATE.replace("{{ message['content'] }}", "{{ message['content'] if loop.last else '...' }}")


@pytest.mark.parametrize(
    ("template", "says"),
    [(None, "has no chat template; add"), (UNSTEADY, "differently once others follow")],
)
def test_a_template_that_cannot_be_used_is_told(
    chatting: PreTrainedTokenizerBase, template: str | None, says: str
) -> None:
    chatting.chat_template = template
    with pytest.raises(UserError, match=says):
        encode_chat(chatting, conversation("I have a fever.", "Rest.", "Drink."))
