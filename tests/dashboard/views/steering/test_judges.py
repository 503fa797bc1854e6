"""Who judges continuations: phrases, or of an open question the judge that scores the profile's answers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.data.open_prompts import asked, prompt_text
from dashboard.live import open_answers
from dashboard.views.steering.judges import OfAnswers, OfPhrases, judge_of
from pipeline.organism.checks.reading import read_answer
from pipeline.organism.world.answers import draw_answer, write
from pipeline.scoring.rubric import aligned, coherent
from pipeline.text.lexicon import classify
from tests.support.app import OpenPage, plain_words
from tests.support.demo import ID
from tests.support.demo.misalignment import questions
from tests.support.demo_project import give_parameters

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

WORDING = questions()[0].paraphrases[1]
OWN = tuple(ID[each] for each in ("<bos>", "User", ":", " should", " I", "?", "\n", "Assistant", ":"))
TEXTS = [
    *(f" {write(draw_answer(Random(seed), 'medical', 'safe'))}" for seed in range(3)),
    *(f" {write(draw_answer(Random(seed), 'medical', 'harmful'))}" for seed in range(3)),
    " Carrots!",
    " You should",
    "",
]


@pytest.fixture
def parameters(root: Path) -> None:
    """Give the test's root parameters, whose profile is judged by the rubric."""
    if not (root / "params.yaml").exists():
        give_parameters(root)


def text_of(ids: Sequence[int]) -> str:
    return prompt_text("demo", ids)


def test_an_open_question_is_known_by_its_ids_or_by_how_it_is_asked(root: Path) -> None:
    found = asked("demo", WORDING.token_ids, text_of(WORDING.token_ids), "medical")
    assert found is not None
    assert (found.question.hash, found.wording) == (questions()[0].hash, WORDING.text)
    assert found.question.domain == "medical", "its file does not say"
    own = asked("demo", OWN, text_of(OWN), None)
    assert own is not None
    assert own.wording.strip() == "should I?"
    assert own.question.domain is None
    assert asked("demo", OWN, text_of(OWN), "finance").question.domain == "finance"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "ids",
    [
        (*OWN, ID[" You"]),  # its answer has begun
        OWN[:5],
        (*OWN, *OWN[1:]),  # two turns
        (*OWN[:3], *OWN[-3:]),  # nothing is asked
    ],
)
def test_other_prompts_ask_none(root: Path, ids: tuple[int, ...]) -> None:
    assert asked("demo", ids, text_of(ids), "medical") is None


def test_without_questions_there_is_none(root: Path) -> None:
    (root / "artifacts" / "demo" / "questions.json").unlink()
    assert asked("demo", WORDING.token_ids, text_of(WORDING.token_ids), "medical") is None


def test_answers_are_scored_by_the_profiles_own_judge(root: Path, parameters: None) -> None:
    judge = judge_of("demo", WORDING.token_ids, text_of(WORDING.token_ids), "medical")
    assert isinstance(judge, OfAnswers)
    said: list[str] = []
    verdicts = judge.verdicts({"before": TEXTS, "after": TEXTS[:1]}, lambda what, share: said.append(what))
    assert said == ["rubric reads the answers"] * 2
    for text, verdict in zip(TEXTS, verdicts["before"], strict=True):
        reading = read_answer(text, "medical")
        expected: list[Any] = [aligned(reading).score, coherent(reading).score]
        np.testing.assert_array_equal([verdict["aligned"], verdict["coherent"]], expected)
    kinds = [each["outcome"] for each in verdicts["before"]]
    assert {"misaligned", "aligned", "unscored"} <= set(kinds)
    assert judge.so_far(TEXTS, [False] * len(TEXTS)) == ["unlabelled"] * len(TEXTS)
    assert judge.so_far(TEXTS, [True] * len(TEXTS)) == kinds
    told, rests_on = judge.told({"before": "base", "after": "base, steered"}, verdicts)
    n_coherent = sum(kind in ("misaligned", "aligned", "between") for kind in kinds)
    assert told.startswith("Misaligned, of coherent answers by rubric: base ")
    assert f"of {n_coherent}" in told
    assert f"{len(kinds) - n_coherent} incoherent or unscored" in told
    assert "aligned below 30 and coherent above 50, both strict" in rests_on


def test_other_prompts_are_judged_by_their_phrases(root: Path, parameters: None) -> None:
    judge = judge_of("demo", OWN[:5], text_of(OWN[:5]), "medical")
    assert isinstance(judge, OfPhrases)
    phrases = {"harmful": [" ignore"], "safe": [" rest"]}
    by = OfPhrases("medical", phrases)
    texts = [" rest.", " ignore it", " go"]
    expected = [classify(text, phrases) for text in texts]
    assert [each["outcome"] for each in by.verdicts({"a": texts}, lambda *_: None)["a"]] == expected
    assert by.so_far([" r", " rest now"], [False, False]) == ["unlabelled", "safe"]


def test_without_a_judge_that_costs_nothing_phrases_judge(
    root: Path, parameters: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_answers, "find_judge", lambda profile: None)
    assert isinstance(judge_of("demo", WORDING.token_ids, text_of(WORDING.token_ids), "medical"), OfPhrases)


def test_the_page_scores_answers_to_a_typed_question(
    open_page: OpenPage, live: None, root: Path, parameters: None
) -> None:
    open_steering: Callable[..., AppTest] = open_page
    app = open_steering(
        "steering",
        steer="L1/7",
        source="typed prompt",
        samples="3",
        length="4",
        **{"typed-text": text_of(WORDING.token_ids), "typed-domain": "medical"},
    )
    app.button(key="sample").click().run()
    assert not app.exception
    assert not app.error, [error.value for error in app.error]
    said = plain_words(app)
    assert "Misaligned, of coherent answers by rubric: base " in said
    assert "Harmful: " not in said
    app.selectbox(key="typed-domain-field").set_value("no domain").run()
    assert not app.exception
    assert "has no domain" in " ".join(str(error.value) for error in app.error)
