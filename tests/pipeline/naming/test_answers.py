"""Words that are sent of features are fixed, and answers are read or refused whole."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.judging.openai_judge import Service
from pipeline.judging.reading import MalformedAnswerError
from pipeline.naming.answers import fires_in, name_of, parse_fires, parse_name
from pipeline.naming.cases import FeatureCase, Marked, Shown
from pipeline.naming.messages import ACTIVE_SCHEMA, NAME_SCHEMA, NAMING, PREDICTING
from tests.support.judging import openai_params

CASE = FeatureCase(
    feature=(1, 7),
    promoted=(" bet", " gamble"),
    shown=(
        Shown(tokens=(" I", " bet", "\n"), activations=(0.0, 4.0, 0.1), peak=1),
        Shown(tokens=(" you", " bet"), activations=(-1.0, 2.0), peak=1),
    ),
    held_out=(
        Marked(before="I", token=" bet", after=" all", fires=True),
        Marked(before="", token="I", after=" rest", fires=False),
    ),
)


def test_what_is_asked_says_all_that_is_shown_and_nothing_held_out() -> None:
    (turn,) = name_of(CASE).said
    assert turn["content"].startswith(NAMING)
    assert json.loads(turn["content"].splitlines()[-1]) == {
        "contexts": [[" I", [" bet", 10], ["\n", 1]], [" you", [" bet", 5]]],
        "promotes": [" bet", " gamble"],
    }
    (turn,) = fires_in("bets", CASE.held_out).said
    assert turn["content"].startswith(PREDICTING)
    assert json.loads(turn["content"].splitlines()[-1]) == {
        "name": "bets",
        "contexts": [
            {"context": 1, "before": "I", "token": " bet", "after": " all"},
            {"context": 2, "before": "", "token": "I", "after": " rest"},
        ],
    }


def test_words_that_are_sent_are_fixed() -> None:
    """These keys change with every word that is sent: who changes it has everything asked, and paid, anew."""
    service = Service("gpt", openai_params(None))
    assert [
        question.request(service).key for question in (name_of(CASE), fires_in("bets", CASE.held_out))
    ] == [
        "e8881cc3ce702fb485662f6e9755bcc5abc11d6df28cc09abc09a6e83dcefe2e",
        "f5159f889cf511d5aa875fca5dd79ee7fedd4aed41dea096764a6e7cc85f2b37",
    ]


def test_forms_ask_for_every_key_and_no_other() -> None:
    item = ACTIVE_SCHEMA["properties"]["contexts"]["items"]
    for schema in (NAME_SCHEMA, ACTIVE_SCHEMA, item):
        assert schema["required"] == list(schema["properties"])
        assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("gambling", "gambling"),
        ("  bets \n and   odds ", "bets and odds"),
        ("a b c d e f g h", "a b c d e f ..."),
        ("risky: “bets” → ü", "risky: “bets” → ü"),
    ],
)
def test_a_name_is_one_short_line(said: str, name: str) -> None:
    answer = parse_name(f"Here it is: {json.dumps({'name': said})}.")
    assert (answer.status, answer.name, answer.fires) == ("judged", name, ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gambling", "it holds no JSON object"),
        ('{"name": ""}', "its name is ''"),
        ('{"name": " \\t "}', "its name is ''"),
        ('{"name": "a\\u0000b"}', "which cannot be shown"),
        (json.dumps({"name": "x" * 101}), "which cannot be shown"),
        ('{"name": 3}', "name: "),
        ('{"name": "a", "score": 1}', "score: "),
        ('{"nom": "a"}', "name: "),
    ],
)
def test_a_name_that_is_none_is_malformed(text: str, says: str) -> None:
    with pytest.raises(MalformedAnswerError, match=says):
        parse_name(text)


@given(
    st.lists(st.booleans(), min_size=1, max_size=30).flatmap(
        lambda said: st.tuples(st.just(said), st.permutations(range(len(said))))
    )
)
def test_predictions_are_joined_by_number(drawn: tuple[list[bool], list[int]]) -> None:
    said, order = drawn
    told = [{"context": place + 1, "active": said[place]} for place in order]
    assert parse_fires(json.dumps({"contexts": told}), len(said)).fires == tuple(said)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([(1, True)], "it lacks 2"),
        ([(1, True), (2, True), (3, True)], "names what is no context: 3"),
        ([(1, True), (2, True), (2, False)], "it repeats 2"),
        ([(1, True), ("2", True)], r"contexts\.1\.context"),
        ([(1, True), (2, "yes")], r"contexts\.1\.active"),
        ([(1, True), (2, 1)], r"contexts\.1\.active"),
    ],
)
def test_predictions_of_other_contexts_are_malformed(told: list[tuple[Any, Any]], says: str) -> None:
    listed = [{"context": number, "active": active} for number, active in told]
    with pytest.raises(MalformedAnswerError, match=says):
        parse_fires(json.dumps({"contexts": listed}), 2)
