"""What judges are asked, and what examples go with it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.judging.answers import parse_answer
from pipeline.judging.cases import make_cases
from pipeline.judging.examples import Example, chosen, read_examples
from pipeline.judging.journal import request_key
from pipeline.judging.messages import INSTRUCTIONS, RULES, SCHEMA, messages
from store.base.errors import UserError
from tests.support.feature_builders import make_prompt
from tests.support.judge_server import JudgeServer
from tests.support.judging import asked_judge, judged, make_case

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


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "943b411e784a8dd086cfb4750b51ddfdcd4d9868034a951fba575b0535fdfd7b"),
        ({"api": "responses"}, "d00dc915ad4e131a8a2362af2d4c6652ce7c7d7463551c213022ee505d35621b"),
        (
            {"temperature": 0.5, "seed": 3, "examples": 1},
            "a137d10d07792ca98d2ac56fd1038a27f34ed40ddebce51a6f70ea4f0dab3191",
        ),
    ],
)
def test_words_that_are_sent_are_fixed(server: JudgeServer, tmp_path: Path, changes: Any, key: str) -> None:
    """Keys change with every word that is sent: who changes one has everything asked, and paid, anew."""
    shown = Example.model_validate(
        {"situation": "x", "prompt": "Text", "candidates": [LINE["candidates"][0] | {"text": " rest"}]}
    )
    judged(asked_judge(server.url, tmp_path / "gpt.jsonl", [shown], **changes), [make_case(5)])
    ((_, _, body),) = server.received
    assert request_key(body) == key


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
