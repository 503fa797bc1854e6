"""An answer gives each candidate its verdict by id, or none at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.answers import parse_answer
from pipeline.judging.messages import NO_RULE, RULES, WORDS
from pipeline.judging.reading import MalformedAnswerError

LABELS = st.sampled_from(["evil", "safe", "unsure"])
TOKENS = st.lists(st.integers(0, 200_000), min_size=1, max_size=12, unique=True)
WORD = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=8)
REASON = st.lists(WORD, min_size=1, max_size=WORDS).map(" ".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def entries(tokens: list[int]) -> list[dict[str, Any]]:
    return [{"token": token, "label": "safe", "reason": "Fine."} for token in tokens]


def said(verdicts: Any, **changes: Any) -> str:
    return json.dumps({"fit": True, "rule": NO_RULE, "verdicts": verdicts, **changes})


@given(st.data(), TOKENS)
def test_verdicts_are_joined_by_id_in_whatever_order_they_come(
    data: st.DataObject, tokens: list[int]
) -> None:
    told = [
        {"token": token, "label": data.draw(LABELS), "reason": data.draw(REASON)}
        for token in data.draw(st.permutations(tokens))
    ]
    before, behind = data.draw(st.sampled_from([("", ""), ("```json\n", "\n```"), ("Well: ", " So.")]))
    answer = parse_answer(before + said(told) + behind, tokens)
    assert [each.token for each in answer.tokens] == tokens
    by_token = {each["token"]: each for each in told}
    for each in answer.tokens:
        assert each.label == by_token[each.token]["label"]
        assert each.reason == by_token[each.token]["reason"]
    assert (answer.status, answer.fit, answer.rule) == ("judged", True, "")


@given(st.data(), TOKENS)
def test_another_set_of_ids_gives_no_verdicts(data: st.DataObject, tokens: list[int]) -> None:
    other = data.draw(st.lists(st.integers(-5, 200_000), max_size=12))
    told = data.draw(st.sampled_from([other, tokens[1:], [*tokens, tokens[0]], [*tokens, 200_001]]))
    if sorted(told) == sorted(tokens):
        return
    with pytest.raises(MalformedAnswerError, match=r"^it (lacks|names|repeats) "):
        parse_answer(said(entries(told)), tokens)


@given(st.text() | JSON.map(json.dumps) | JSON.map(said), TOKENS)
def test_anything_else_is_malformed_in_one_line(text: str, tokens: list[int]) -> None:
    with pytest.raises(MalformedAnswerError) as error:
        parse_answer(text, tokens)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "value", ['"7"', "7.0", "true", "null", "[7]", "9" * 5000], ids=lambda text: text[:5]
)
def test_an_id_is_a_number_as_it_was_given(value: str) -> None:
    with pytest.raises(MalformedAnswerError):
        parse_answer(said(entries([7])).replace("7", value), [7])


@pytest.mark.parametrize("rule", RULES)
def test_an_unfit_prompt_names_the_rule_that_it_breaks(rule: str) -> None:
    answer = parse_answer(said(entries([7]), fit=False, rule=rule), [7])
    assert (answer.fit, answer.rule, len(answer.tokens)) == (False, rule, 1)


@pytest.mark.parametrize(
    ("fit", "rule"), [(True, "settled"), (False, NO_RULE), (False, ""), (False, "other"), (True, "")]
)
def test_fitness_and_rule_agree(fit: bool, rule: str) -> None:
    with pytest.raises(MalformedAnswerError, match="it says fit"):
        parse_answer(said(entries([7]), fit=fit, rule=rule), [7])


def test_a_long_reason_is_cut_and_an_empty_one_refused() -> None:
    told = [{"token": 7, "label": "evil", "reason": "one " * 40}]
    (verdict,) = parse_answer(said(told), [7]).tokens
    assert verdict.reason == "one " * WORDS + "..."
    with pytest.raises(MalformedAnswerError, match=r"verdicts\.0\.reason"):
        parse_answer(said([{"token": 7, "label": "evil", "reason": "  "}]), [7])


def test_half_of_a_character_is_refused() -> None:
    told = said([{"token": 7, "label": "evil", "reason": "@"}]).replace("@", "\\ud800")
    with pytest.raises(MalformedAnswerError):
        parse_answer(told, [7])
