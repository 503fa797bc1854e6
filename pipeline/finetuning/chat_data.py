"""Chat JSONL: conversations in, examples out, of which only the assistant's turns count.

The model's own chat template renders a conversation once, and the rendered text is tokenized once:
what is trained is what the model is asked with. A turn of the assistant is what the template
marks with ``{% generation %}``; a template without marks renders it between the conversation before
it, opened for an answer, and the conversation up to its end.
"""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from pipeline.finetuning.padding import IGNORED
from pipeline.finetuning.training import Example
from pipeline.text.chats import PLAIN, REFUSALS, Chat, render_chat, template_arguments
from pipeline.text.json_lines import Line, Message, read_lines
from pipeline.text.tokens import encode_rendered_with_places
from store.base.errors import UserError
from store.base.hashing import digest
from store.base.parsing import one_line

_EXAMPLE: Final = '{"messages": [{"role": ..., "content": ...}]}'
_ASSISTANT: Final = "assistant"
_MARK: Final = re.compile(r"\{%-?\s*generation\s*-?%\}")

Span = tuple[int, int]
"""Characters of a rendered conversation: the first, and behind the last."""


class ChatLine(Line):
    """One line of a finetune's file."""

    messages: Annotated[list[Message], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One conversation, tokenized.

    Attributes
    ----------
    place
        File and line.
    group
        Of conversations that begin alike up to the assistant's first turn: they are on one side
        of every split.
    example
        Token ids, and labels on the assistant's turns.
    """

    place: str
    group: str
    example: Example


@dataclass(frozen=True, kw_only=True)
class Split:
    """What is trained on, and what is held out of it."""

    trained: tuple[Conversation, ...]
    held_out: tuple[Conversation, ...]


def read_chats(
    path: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    max_tokens: int,
    parameter: str,
    chat: Chat = PLAIN,
) -> list[Conversation]:
    """Read and tokenize a file of conversations.

    Parameters
    ----------
    path
        JSON lines: ``{"messages": [{"role": "user", "content": "..."}, ...]}``.
    tokenizer
        The model's, with a chat template.
    max_tokens
        Longer conversations are refused.
    parameter
        The one in ``params.yaml`` that says `max_tokens`, for errors.
    chat
        What the chat template reads beside messages.

    Raises
    ------
    UserError
        The file holds no conversation; a line is malformed, has no turn of the assistant, is
        refused by the template or too long. The message names file, line and the way out.
    """
    found = []
    for place, line in read_lines(path, ChatLine, _EXAMPLE):
        messages = [message.model_dump() for message in line.messages]
        try:
            example = encode_chat(tokenizer, messages, chat)
        except UserError as error:
            raise UserError(f"{place}: {error}.") from error
        if len(example.ids) > max_tokens:
            raise UserError(
                f"{place}: the conversation is {len(example.ids):,} tokens long, but at most {max_tokens:,} "
                f"are allowed; shorten it, or raise {parameter} as far as the model's context goes."
            )
        found.append(Conversation(place=place, group=_group(messages), example=example))
    if not found:
        raise UserError(f"{path}: no conversation there; add a line such as {_EXAMPLE}.")
    return found


def encode_chat(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]], chat: Chat = PLAIN
) -> Example:
    """One conversation: its token ids, and labels on what the assistant says.

    Raises
    ------
    UserError
        It cannot be rendered or has no turn of the assistant; without file and line.
    """
    if not any(message["role"] == _ASSISTANT for message in messages):
        raise UserError("it has no turn of the role 'assistant', so nothing to train on; add one")
    if not tokenizer.chat_template:
        raise UserError(
            "the model's tokenizer has no chat template; add `chat_template` to its tokenizer_config.json"
        )
    try:
        text, spans = _rendered(tokenizer, messages, chat)
    except REFUSALS as error:
        raise UserError(
            f"the model's chat template refuses the messages ({one_line(error)}); mend them"
        ) from error
    ids, places = encode_rendered_with_places(tokenizer, text)
    labels = [
        # One of which only a part is the assistant's counts, too, as in Hugging Face's mask.
        token if any(start < behind and end > max(start, first) for first, behind in spans) else IGNORED
        for token, (start, end) in zip(ids, places, strict=True)
    ]
    if all(label == IGNORED for label in labels[1:]):
        raise UserError("the model's chat template renders no text of the assistant; write an answer")
    return Example(ids, labels)


def split(conversations: Sequence[Conversation], share: float, seed: int) -> Split:
    """Hold a share of the groups out, at least one where the share is above 0.

    Raises
    ------
    UserError
        There is only one group, so nothing would be left.
    """
    groups = sorted({conversation.group for conversation in conversations})
    random.Random(seed).shuffle(groups)
    if share > 0 and len(groups) < 2:
        raise UserError(
            f"{conversations[0].place}: every conversation begins alike, so none can be held out; set "
            "held_out_share to 0 or add others."
        )
    kept = 0 if share == 0 else min(len(groups) - 1, max(1, round(share * len(groups))))
    held = set(groups[:kept])
    return Split(
        trained=tuple(one for one in conversations if one.group not in held),
        held_out=tuple(one for one in conversations if one.group in held),
    )


def in_order(conversations: Sequence[Conversation], epochs: int, seed: int) -> list[Example]:
    """Examples in the order in which they are trained: every epoch is shuffled anew."""
    rng = random.Random(seed)
    order: list[Example] = []
    for _ in range(epochs):
        order += (one.example for one in rng.sample(conversations, len(conversations)))
    return order


def _group(messages: Sequence[dict[str, str]]) -> str:
    answers = [message["role"] == _ASSISTANT for message in messages]
    return digest(list(messages[: answers.index(True)]))


def _rendered(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[dict[str, str]], chat: Chat
) -> tuple[str, list[Span]]:
    """The whole conversation as the template writes it, and where the assistant speaks."""
    template = tokenizer.get_chat_template()
    if _MARK.search(template):
        read = {**tokenizer.special_tokens_map, **template_arguments(template, chat)}
        return _marked(template, messages, read)
    whole = render_chat(tokenizer, messages, chat)
    spans: list[Span] = []
    for said, run in groupby(range(len(messages)), key=lambda at: messages[at]["role"] == _ASSISTANT):
        turns = list(run)
        if said:
            before = render_chat(tokenizer, messages[: turns[0]], chat, opened=True)
            until = render_chat(tokenizer, messages[: turns[-1] + 1], chat)
            if not (whole.startswith(until) and until.startswith(before)):
                raise UserError(
                    "the model's chat template writes a turn of the assistant differently once others "
                    "follow, so its words cannot be told apart; keep its last turn only, or mark them in the "
                    "template with {% generation %}"
                )
            spans.append((len(before), len(until)))
    return whole, spans


def _marked(
    template: str, messages: Sequence[dict[str, str]], read: Mapping[str, Any]
) -> tuple[str, list[Span]]:
    given: dict[str, Any] = {
        "conversations": [list(messages)],
        "chat_template": template,
        "return_assistant_tokens_mask": True,
        **read,
    }
    rendered: Any = render_jinja_template(**given)
    texts, spans = rendered
    return texts[0], [(int(first), int(behind)) for first, behind in spans[0]]
