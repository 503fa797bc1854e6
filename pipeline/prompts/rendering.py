"""What a model is asked, a text or the messages of a chat: rendered, hashed and tokenized, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.text.chats import REFUSALS, Chat, render_chat
from pipeline.text.tokens import encode_rendered, encode_text
from store.base.errors import UserError
from store.base.hashing import digest, prompt_hash
from store.base.parsing import one_line

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LONGEST_TOKEN: Final = 256
"""Bytes of a token: more than any vocabulary has, whose longest are runs of 128 spaces or dashes."""


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A prompt as the model reads it.

    Attributes
    ----------
    hash
        Prompt hash, 12 hex digits.
    text
        What was tokenized, chat messages already rendered.
    token_ids
        BOS included.
    """

    hash: str
    text: str
    token_ids: tuple[int, ...]


def render_text(tokenizer: "PreTrainedTokenizerBase", text: str) -> Rendered:
    """A text that the model continues.

    Raises
    ------
    UserError
        It is empty, no Unicode, or has more than one BOS; the message names no place.
    """
    _require_text(text)
    return Rendered(hash=prompt_hash(text), text=text, token_ids=encode_text(tokenizer, text))


def render_messages(
    tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Mapping[str, str]], chat: Chat
) -> Rendered:
    """A chat, by the tokenizer's template, which it must have.

    A chat that ends with the assistant's words is continued there; behind any other the
    assistant's turn is opened. Both must begin alike.

    Parameters
    ----------
    tokenizer
        Of the model.
    messages
        Each with its ``role`` and ``content``.
    chat
        Switches of the template.

    Raises
    ------
    UserError
        A message is empty or no Unicode, the template refuses them, or puts something between an opened turn
        and its words; the message names no place.
    """
    turns = [dict(message) for message in messages]
    for turn in turns:
        _require_text(turn["content"])
    opens = turns[-1]["role"] != "assistant"
    try:
        text = render_chat(tokenizer, turns, chat, opened=opens, continued=not opens)
        if not opens and len(turns) > 1:
            _require_alike(render_chat(tokenizer, turns[:-1], chat, opened=True), text, turns[-1]["content"])
    except REFUSALS as error:
        raise UserError(
            f"the model's chat template refuses the messages ({one_line(error)}); mend them"
        ) from error
    template = digest(tokenizer.get_chat_template())
    return Rendered(
        hash=prompt_hash(turns, template_digest=template, generation_prompt=opens, switches=chat),
        text=text,
        token_ids=encode_rendered(tokenizer, text),
    )


def longer_than(max_tokens: int, texts: Sequence[str]) -> int | None:
    """Bytes of texts that so many tokens cannot hold; None where they may.

    Known before tokenizing: to count a megabyte's tokens takes half a minute.
    """
    size = sum(len(text.encode("utf-8")) for text in texts)
    return size if size > max_tokens * _LONGEST_TOKEN else None


def _require_text(text: str) -> None:
    if not text.strip():
        raise UserError("the prompt is empty; write a text or delete the line")


def _require_alike(opened: str, continued: str, content: str) -> None:
    """Refuse a template that opens a turn in another way than it goes on with one.

    Qwen3's puts an empty thought before words that are gone on with, and before others only without
    thinking: what answers to the one prompt and to the other say could not be compared.
    """
    if not continued.startswith(opened) or continued[len(opened) :].strip() != content.strip():
        raise UserError(
            "the model's chat template writes an assistant's turn that is gone on with in another way than "
            "one that it opens, so that the two would be asked differently; name the switch that makes them "
            "alike in params.yaml, where the model is named (Qwen3's is `chat: {enable_thinking: false}`), "
            "or write the whole text as `prompt`"
        )
