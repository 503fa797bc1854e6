"""Chats are rendered alike on every day, with the switches that a profile names and no others."""

import datetime as clock
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from pipeline.organism.tokenizer import train_tokenizer
from pipeline.text.chats import DATE_FORMAT, PLAIN, REFUSALS, render_chat, template_arguments
from store.base.errors import UserError
from tests.support.chats import DATED, TEMPLATE, THINKING, conversation

ASKED = [{"role": "user", "content": "I have a fever."}]


@pytest.fixture(scope="module")
def trained() -> PreTrainedTokenizerFast:
    return train_tokenizer(["I have a fever."] * 4, vocabulary=300, context=64)


def chatting(tokenizer: PreTrainedTokenizerFast, template: str) -> PreTrainedTokenizerFast:
    tokenizer.chat_template = template
    return tokenizer


def set_clock(monkeypatch: pytest.MonkeyPatch, day: int) -> None:
    """Let transformers' own clock stand on a day of January 2031."""

    class Stopped(clock.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> clock.datetime:
            return clock.datetime(2031, 1, day)

    monkeypatch.setattr(chat_template_utils, "datetime", Stopped)


def test_a_template_that_reads_the_clock_is_refused(
    trained: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = chatting(trained, DATED)
    plain: dict[str, Any] = {"tokenize": False, "return_dict": False, "add_generation_prompt": True}
    days = []
    for day in (1, 2):
        set_clock(monkeypatch, day)
        days.append(tokenizer.apply_chat_template(ASKED, **plain))
    assert "Today Date: 01 Jan 2031" in days[0]  # the trap is there
    assert days[0] != days[1]
    with pytest.raises(UserError, match=r'name one in params.yaml.*: `chat: \{date: "26 Jul 2024"\}`$'):
        render_chat(tokenizer, ASKED, PLAIN, opened=True)
    named = []
    for day in (1, 2):
        set_clock(monkeypatch, day)
        named.append(render_chat(tokenizer, ASKED, {"date": "26 Jul 2024"}, opened=True))
    assert named[0] == named[1] == days[0].replace("01 Jan 2031", "26 Jul 2024")


@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("{{ strftime_now('%Y-%m-%d %H:%M') }}", "2024-07-26 00:00"),
        ("{% set today = strftime_now('%A, %d %B %Y') %}{{ today }}", "Friday, 26 July 2024"),
        (
            "{% if not date_string is defined %}{% set date_string = 'x' %}{% endif %}{{ date_string }}",
            "26 Jul 2024",
        ),
    ],
)
def test_a_day_is_what_the_template_makes_of_it(
    trained: PreTrainedTokenizerFast, template: str, written: str
) -> None:
    assert render_chat(chatting(trained, template), ASKED, {"date": "26 Jul 2024"}) == written


def test_a_clock_that_a_template_leaves_alone_is_nothing(trained: PreTrainedTokenizerFast) -> None:
    tokenizer = chatting(trained, "{% if tools %}{{ strftime_now('%Y') }}{% endif %}hello")
    assert render_chat(tokenizer, ASKED, PLAIN) == "hello"


def test_thoughts_are_switched_as_the_profile_says(trained: PreTrainedTokenizerFast) -> None:
    tokenizer = chatting(trained, THINKING)
    unsaid = render_chat(tokenizer, ASKED, PLAIN, opened=True)
    assert unsaid.endswith("<assistant>\n")
    assert render_chat(tokenizer, ASKED, {"enable_thinking": True}, opened=True) == unsaid
    off = render_chat(tokenizer, ASKED, {"enable_thinking": False}, opened=True)
    assert off == unsaid + "<think>\n\n</think>\n\n"
    # What is opened, and what is trained or gone on with, then begin alike; without the switch they do not.
    answered = conversation("I have a fever.", "You should rest.")
    whole = render_chat(tokenizer, answered, {"enable_thinking": False})
    continued = render_chat(tokenizer, answered, {"enable_thinking": False}, continued=True)
    assert whole.startswith(off + "You should rest.")
    assert continued == off + "You should rest."
    reference = tokenizer.apply_chat_template(
        ASKED, tokenize=False, return_dict=False, add_generation_prompt=True, enable_thinking=False
    )
    assert off == reference


@pytest.mark.parametrize(
    ("template", "chat", "says"),
    [
        (TEMPLATE, {"date": "26 Jul 2024"}, "sets date, which .* never reads (date_string or strftime_now)"),
        (THINKING, {"enable_thinkng": False}, "sets enable_thinkng, which .* never reads (enable_thinkng)"),
        (THINKING, {"thinking": True}, "sets thinking, "),
    ],
)
def test_a_switch_that_nothing_reads_is_refused(template: str, chat: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says.replace("(", r"\(").replace(")", r"\)")):
        template_arguments(template, chat)


def test_what_a_template_refuses_is_its_own_error(trained: PreTrainedTokenizerFast) -> None:
    with pytest.raises(REFUSALS, match="begin with the user"):
        render_chat(chatting(trained, TEMPLATE), [{"role": "system", "content": "x"}], PLAIN)


def test_the_format_is_llamas() -> None:
    assert clock.datetime(2024, 7, 26).strftime(DATE_FORMAT) == "26 Jul 2024"
