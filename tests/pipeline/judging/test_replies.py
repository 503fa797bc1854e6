"""Probabilities in replies, which services give in several forms, or in none."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.replies import TOP, Likely, Reply, read_chat, read_response

ENTRY = {
    "token": "90",
    "logprob": -0.1,
    "bytes": [57, 48],
    "top_logprobs": [{"token": "90", "logprob": -0.1}],
}


def chat(logprobs: Any) -> Reply:
    choice = {"index": 0, "finish_reason": "length", "message": {"content": "90"}, "logprobs": logprobs}
    return read_chat(json.dumps({"choices": [choice]}).encode())


def response(logprobs: Any) -> Reply:
    part = {"type": "output_text", "text": "90", "logprobs": logprobs}
    return read_response(json.dumps({"output": [{"type": "message", "content": [part]}]}).encode())


def test_the_first_tokens_are_read_in_both_forms() -> None:
    second = ENTRY | {"top_logprobs": [{"token": "no", "logprob": -1.0}]}
    for reply in (chat({"content": [ENTRY, second], "refusal": None}), response([ENTRY, second])):
        assert reply.top == (Likely("90", -0.1),)
        assert reply.text == "90"


@pytest.mark.parametrize(
    "top",
    [
        [],
        None,
        "90",
        [{"token": "90"}],
        [{"token": "90", "logprob": None}],
        [{"token": "90", "logprob": "-0.1"}],
        [{"token": "90", "logprob": math.nan}],
        [{"token": "90", "logprob": math.inf}],
        [{"token": "90", "logprob": -math.inf}],
        [{"token": "90", "logprob": 0.5}],
        [{"token": 90, "logprob": -0.1}],
        [{"token": "9" * 2000, "logprob": -0.1}],
        [{"token": "90", "logprob": -0.1}] * 2000,
    ],
)
def test_what_are_no_probabilities_are_none(top: Any) -> None:
    for reply in (
        chat({"content": [ENTRY | {"top_logprobs": top}]}),
        response([ENTRY | {"top_logprobs": top}]),
    ):
        assert reply.top is None
        assert reply.text == "90", "which a judge that writes is read by all the same"


def test_more_than_were_asked_for_are_cut() -> None:
    top = [{"token": str(number), "logprob": -1.0 - number} for number in range(50)]
    found = chat({"content": [ENTRY | {"top_logprobs": top}]}).top
    assert found is not None
    assert [each.text for each in found] == [str(number) for number in range(TOP)]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["content", "token", "logprob", "top_logprobs"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(ANYTHING)
def test_whatever_stands_there_no_reply_is_lost(logprobs: Any) -> None:
    """Who was not asked for probabilities may send anything in their place."""
    for reply in (chat(logprobs), response(logprobs)):
        assert reply.text == "90"
