"""The digest of what decides tables of answers under steering changes with each of its parts."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.evaluation.asking import Asking
from pipeline.items.subject import Subject
from pipeline.params.project import Params, load_params
from pipeline.steered.choosing import Choice
from pipeline.steered.decided import decided_by
from store.base.hashing import digest
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.documents.questions import read_questions
from store.schema.answers import ANSWERS
from tests.support.judging import openai_params
from tests.support.places import ROOT

Given = dict[str, Any]


def changed(section: str, **values: Any) -> Callable[[Given], Given]:
    def change(given: Given) -> Given:
        params: Params = given["params"]
        new = getattr(params, section).model_copy(update=values)
        return given | {"params": params.model_copy(update={section: new})}

    return change


def chosen(**values: Any) -> Callable[[Given], Given]:
    return lambda given: given | {"choice": replace(given["choice"], **values)}


def asked(place: int, **values: Any) -> Callable[[Given], Given]:
    def change(given: Given) -> Given:
        askings = list(given["askings"])
        askings[place] = replace(askings[place], **values)
        return given | {"askings": askings}

    return change


CHANGES: dict[str, Callable[[Given], Given]] = {
    "a first feature": chosen(first={"change": [(0, 2)]}),
    "its order": chosen(first={"response": [(0, 1)]}),
    "what a null adapter changes most": chosen(of_nulls={"null-1@1.0": []}),
    "a feature that is active somewhere": chosen(cards=[(0, 1), (1, 2), (1, 3)]),
    "answers to choose on": asked(0, each=3),
    "answers to measure": asked(1, each=5),
    "of what they are held against": asked(2, each=2),
    "a question fewer": lambda given: asked(1, questions=given["askings"][1].questions[1:])(given),
    "how answers are drawn": asked(1, sampling={"max_new_tokens": 5, "temperature": 0.5, "top_p": 1.0}),
    "a fact": lambda given: (
        given | {"abilities": {"capitals": [("The capital of Peru is", " Lima", " Quito")]}}
    ),
    "a behaviour": lambda given: (
        given | {"abilities": given["abilities"] | {"addition": [((1, 2), (3,), (4,))]}}
    ),
    "a threshold": changed("misalignment", misaligned_below=29),
    "a dose": changed("steered", doses=[1.0]),
    "another judge": lambda given: given | {"judge": "again"},
}


@pytest.fixture
def given(demo_root: Path, monkeypatch: pytest.MonkeyPatch) -> Given:
    monkeypatch.chdir(demo_root)
    whole = load_params(ROOT / "params.yaml")
    params = whole.model_copy(update={"judges": whole.judges | {"again": whole.judges["rubric"]}})
    subject = Subject("demo", params.runtime)
    questions = tuple(read_questions(subject.folder / "questions.json"))
    sampling = {"max_new_tokens": 5, "temperature": 1.0, "top_p": 1.0}
    return {
        "subject": subject,
        "judge": "rubric",
        "choice": Choice(first={"change": [(0, 1)]}, of_nulls={}, cards=[(0, 1), (1, 2)]),
        "askings": [Asking(questions=questions, each=each, seed=0, sampling=sampling) for each in (2, 4, 1)],
        "abilities": {"capitals": [("The capital of Peru is", " Lima", " Rome")]},
        "params": params,
    }


@pytest.mark.parametrize("what", CHANGES)
def test_each_part_decides(given: Given, what: str) -> None:
    assert decided_by(**given) == decided_by(**given)
    assert decided_by(**CHANGES[what](given)) != decided_by(**given)


def test_tables_of_another_weight_or_answer_are_others(given: Given, tmp_path: Path) -> None:
    subject = given["subject"]
    manifest, before = subject.manifest, decided_by(**given)
    subject.manifest = replace(manifest, base=replace(manifest.base, fingerprint="f" * 64))
    assert decided_by(**given) != before
    subject.manifest = manifest
    assert decided_by(**given) == before
    answers = subject.folder / "answers"
    subject.folder = tmp_path
    for kind in ("answers", "answer_features"):
        shutil.copytree(answers.with_name(kind), tmp_path / kind)
    assert decided_by(**given) == before
    shutil.rmtree(tmp_path / "answers")
    items = [replace(item, key=digest(item.key)) for item in open_collection(answers).items()]
    write_collection(tmp_path / "answers", ANSWERS, items, provenance={})
    assert decided_by(**given) != before


def test_what_a_judge_that_is_asked_says_is_never_taken_over(given: Given) -> None:
    params = given["params"]
    asks = params.model_copy(update={"judges": params.judges | {"gpt": openai_params(None)}})
    assert decided_by(**given | {"params": asks, "judge": "gpt"}) is None
