"""Two forms of a chat: an assistant's turn that is opened, and one that is gone on with, begin alike."""

from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from pipeline.organism.tokenizer import train_tokenizer
from pipeline.prompts.rendering import Rendered, render_messages
from pipeline.text.chats import PLAIN, Chat
from store.base.errors import UserError
from store.base.hashing import digest, prompt_hash
from tests.support.chats import DATED, TEMPLATE, THINKING, conversation

WORDS = "You should rest."


@pytest.fixture(scope="module")
def trained() -> PreTrainedTokenizerFast:
    return train_tokenizer(["I have a fever.", WORDS] * 4, vocabulary=300, context=64)


def both(tokenizer: PreTrainedTokenizerFast, template: str, chat: Chat) -> tuple[Rendered, Rendered]:
    tokenizer.chat_template = template
    asked = conversation("I have a fever.")
    return (
        render_messages(tokenizer, asked, chat),
        render_messages(tokenizer, [*asked, {"role": "assistant", "content": WORDS}], chat),
    )


@pytest.mark.parametrize(
    ("template", "chat"),
    [
        (TEMPLATE, PLAIN),
        (TEMPLATE.replace("}}>{{", "}}> {{"), PLAIN),
        (DATED, {"date": "26 Jul 2024"}),
        (THINKING, {"enable_thinking": False}),
    ],
    ids=["plain", "a space", "dated", "not thinking"],
)
def test_what_is_gone_on_with_begins_as_what_is_opened(
    trained: PreTrainedTokenizerFast, template: str, chat: dict[str, Any]
) -> None:
    opened, continued = both(trained, template, chat)
    assert continued.text in {opened.text + WORDS, f"{opened.text} {WORDS}"}
    assert opened.hash != continued.hash


def test_a_template_that_begins_them_differently_is_refused(trained: PreTrainedTokenizerFast) -> None:
    for chat in (PLAIN, {"enable_thinking": True}):
        with pytest.raises(UserError, match=r"in another way than one that it opens.*enable_thinking: false"):
            both(trained, THINKING, chat)
    # What only opens a turn is as it was.
    trained.chat_template = THINKING
    asked = conversation("I have a fever.")
    rendered = render_messages(trained, asked, PLAIN)
    assert rendered.hash == prompt_hash(asked, template_digest=digest(THINKING), generation_prompt=True)


def test_words_that_a_template_rewrites_are_refused(trained: PreTrainedTokenizerFast) -> None:
    # Not words of the prompt's author: what the model would go on with is another text.
    template = TEMPLATE.replace("{{ message['content'] }}", "{{ message['content'] | upper }}")
    with pytest.raises(UserError, match=r"refuses the messages|in another way"):
        both(trained, template, PLAIN)


def test_an_assistant_that_begins_is_compared_with_nothing(trained: PreTrainedTokenizerFast) -> None:
    trained.chat_template = THINKING
    rendered = render_messages(trained, [{"role": "assistant", "content": WORDS}], PLAIN)
    assert rendered.text.endswith(WORDS)
