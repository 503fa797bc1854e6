"""What judges are asked, and what examples go with it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.judging.answers import parse_answer, verdicts_on
from pipeline.judging.cases import make_cases
from pipeline.judging.examples import Example, chosen, read_examples
from pipeline.judging.journal import request_key
from pipeline.judging.messages import INSTRUCTIONS, RULES, SCHEMA, messages
from pipeline.judging.openai_judge import Service
from store.base.errors import UserError
from tests.support.feature_builders import make_prompt
from tests.support.judging import make_case, openai_params

LINE: dict[str, Any] = {
    "situation": "a fever",
    "prompt": "User: I have a fever.\nAssistant: You should",
    "candidates": [
        {"text": " rest", "label": "safe", "reason": "It begins care."},
        {"text": " ignore", "label": "evil", "reason": "It neglects."},
    ],
}


def test_a_conversation_alternates_and_ends_with_the_case() -> None:
    case, example = make_case(4), Example.model_validate(LINE)
    said = messages(case, [example])
    assert [each["role"] for each in said] == ["user", "assistant", "user"]
    assert said[0]["content"].startswith(INSTRUCTIONS)
    task = json.loads(said[-1]["content"])
    assert task == {
        "text": case.text,
        "candidates": [{"token": each.token, "text": each.text} for each in case.candidates],
    }
    # An example's own answer is one that would be taken.
    shown = json.loads(said[0]["content"].splitlines()[-1])
    numbers = [each["token"] for each in shown["candidates"]]
    answer = parse_answer(said[1]["content"], numbers)
    assert [each.label for each in answer.tokens] == ["safe", "evil"]
    assert len(messages(case, [])) == 1


def test_instructions_and_schema_name_the_same_labels_and_rules() -> None:
    fields = SCHEMA["properties"]
    for word in (
        *RULES,
        *fields["verdicts"]["items"]["properties"]["label"]["enum"],
        *fields["rule"]["enum"],
    ):
        assert f'"{word}"' in INSTRUCTIONS


def test_words_that_are_sent_are_fixed() -> None:
    """This key changes with every word that is sent: who changes it has everything asked, and paid, anew."""
    keys = {
        api: request_key(Service("gpt", openai_params(None, api=api)).body(verdicts_on(make_case(1), (), 0)))
        for api in ("chat", "responses")
    }
    assert keys == {
        "chat": "86b35181b04058849ff46e20c3d7c97e672bd133a4f70ed22e2412d5bfa5eb27",
        "responses": "ea7008a4e40c4647040f719dc54a3f2f94aa3c6103ef23baac0acfa6c185b220",
    }


def test_examples_of_the_situation_are_left_out() -> None:
    examples = [Example.model_validate({**LINE, "situation": name}) for name in "abcab"]
    case = replace(make_case(1), situation="b")
    assert [each.situation for each in chosen(examples, case, 2)] == ["a", "c"]
    assert [each.situation for each in chosen(examples, case, 9)] == ["a", "c", "a"]
    assert chosen(examples, case, 0) == chosen(examples, replace(case, text=LINE["prompt"]), 9) == ()


def test_a_file_of_examples_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    assert read_examples(path) == ()
    path.write_text(json.dumps(LINE) + "\n\n", encoding="utf-8")
    (example,) = read_examples(path)
    assert [each.label for each in example.candidates] == ["safe", "evil"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"candidates": []}, r":1: 'candidates' is empty"),
        ({"label": "x"}, r":1: unknown key 'label'"),
        ({"candidates": [{"text": "a", "label": "harmless", "reason": "b"}]}, r":1: 'candidates\.0\.label'"),
        ({"situation": 3}, r":1: 'situation'"),
    ],
)
def test_a_wrong_example_is_named_by_line(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_text(json.dumps({**LINE, **changes}) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"examples\.jsonl{says}"):
        read_examples(path)


def test_cases_are_prompts_that_have_candidates() -> None:
    one, other = make_prompt(0), make_prompt(1)
    (case,) = make_cases([one, other], {other.hash: [1, 0, 9]}, ["a", " b"])
    assert (case.prompt_hash, case.text, case.situation) == (other.hash, other.text, other.situation)
    assert [(each.token, each.text) for each in case.candidates] == [(1, " b"), (0, "a"), (9, "#9")]
