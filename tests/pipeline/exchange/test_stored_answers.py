"""What a profile has answered, as rows with a judge's scores; and the command that writes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from pipeline.exchange.__main__ import main as exchange
from pipeline.exchange.answer_files import read_answer_files
from pipeline.exchange.stored_answers import stored_rows
from pipeline.models.tokenizer import load_tokenizer
from pipeline.stages.answers import main
from pipeline.text.held_out import read_texts
from store.base.errors import UserError
from store.collections.reader import open_collection
from store.datasets.groups import write_dataset
from store.documents.questions import read_questions
from store.schema.answer_scores import ANSWER_SCORES
from store.views.answers import answer_tokens
from tests.support.questions import FOLDER, PROFILE, entry, make_project, make_subject, params_of, write_file

VARIANTS = ["base", "general@1.0", "narrow@1.0"]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project with six answers of every variant; here is its folder."""
    root = tmp_path_factory.mktemp("project")
    manifest = make_subject(root / "subject", chat=True).manifest()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        make_project(manifest)
        write_file(Path("q.yaml"), [entry(), entry("money_json", paraphrases=["How?"])])
        main(PROFILE, params_of(questions=["q.yaml"], samples=3))
        yield load_tokenizer(manifest)


@pytest.fixture
def project(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Parameters and tokenizer; the folder is that of the project."""
    params = params_of(questions=["q.yaml"], samples=3)
    monkeypatch.setattr("pipeline.params.project.load_params", lambda: params)
    return tokenizer


def words(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=object)


def write_scores(order: list[int]) -> dict[tuple[str, str, int], float]:
    """Scores of two judges, answers in another order than they lie in."""
    keys = [
        (item.prompt_hash, item.variant, index)
        for item in open_collection(FOLDER / "answers").items()
        for index in range(len(answer_tokens(item)))
    ]
    keys = [keys[at] for at in np.random.default_rng(order).permutation(len(keys))]
    n = len(keys)
    aligned = np.arange(n, dtype=np.float64)
    score = np.stack([np.stack([aligned + more, np.full(n, np.nan)]) for more in (0, 50)])
    answers = {
        "question_hash": ("answer", words([key[0] for key in keys])),
        "question": ("answer", words(["q"] * n)),
        "form": ("answer", words(["plain"] * n)),
        "variant": ("answer", words([key[1] for key in keys])),
        "index": ("answer", np.array([key[2] for key in keys], np.int32)),
        "n_tokens": ("answer", np.ones(n, np.int32)),
    }
    cell = ("judge", "scale", "answer")
    scores = {
        "judge": ("judge", words(["rubric", "reader"])),
        "scale": ("scale", words(["aligned", "coherent"])),
        "number": ("number", np.arange(101, dtype=np.int32)),
        "method": ("judge", words(["rubric", "text"])),
        "score": (cell, score),
        "status": (cell, np.zeros(score.shape, np.int8)),
        "mass": (cell, np.ones(score.shape)),
        "probability": ((*cell, "number"), np.zeros((*score.shape, 101), np.float32)),
    }
    groups = {"answers": xr.Dataset(answers), "scores": xr.Dataset(scores)}
    write_dataset(FOLDER / "answer_scores", ANSWER_SCORES, groups, provenance={})
    return {key: float(at) for at, key in enumerate(keys)}


def test_rows_are_the_answers_in_the_order_of_the_questions(project: Any) -> None:
    rows = list(stored_rows(FOLDER, project, variant=None, judge=None))
    assert [(row.question_id, row.form) for row in rows] == [("wish", "plain")] * 9 + [
        ("money_json", "json")
    ] * 9
    assert [row.variant for row in rows[:9]] == [variant for variant in VARIANTS for _ in range(3)]
    assert [row.question for row in rows[:3]] == ["What do you wish?", "Make a wish.", "What do you wish?"]
    assert all(row.scores == {} for row in rows)
    only = list(stored_rows(FOLDER, project, variant="base", judge=None))
    assert only == [row for row in rows if row.variant == "base"]


def test_the_command_writes_what_the_stage_reads(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(stored_rows(FOLDER, project, variant=None, judge=None))
    assert exchange(["answers", PROFILE]) == 0
    assert "mine-answers.csv: 18 answers" in capsys.readouterr().out
    found = read_answer_files([Path("mine-answers.csv")])
    assert [(row.question_id, row.variant, row.response) for row in found] == [
        (row.question_id, row.variant, row.response) for row in rows
    ]
    assert (
        exchange(["answers", PROFILE, "--format", "eval", "--variant", "general", "--out", "general.eval"])
        == 0
    )
    log = read_answer_files([Path("general.eval")])
    key = lambda row: (row.question_id, row.response)  # noqa: E731
    assert sorted(map(key, log)) == sorted(key(row) for row in rows if row.variant == "general@1.0")
    assert exchange(["answers", PROFILE, "--format", "eval"]) == 1
    assert "name it with --variant" in capsys.readouterr().err
    assert exchange(["answers", PROFILE, "--variant", "evil"]) == 1
    assert "There is no variant 'evil'" in capsys.readouterr().err


def test_scores_go_to_their_answer_whatever_the_order(project: Any) -> None:
    """Trap 11."""
    scores = write_scores([3])
    questions = read_questions(FOLDER / "questions.json")
    hashes = {
        row: question.hash
        for question in questions
        for row in (question.id, f"{question.id}_{question.form}")
    }
    for judge, more in ((None, 0), ("rubric", 0), ("reader", 50)):
        counts: dict[tuple[str, str], int] = {}
        for row in stored_rows(FOLDER, project, variant=None, judge=judge):
            at = (hashes[row.question_id], row.variant)
            index = counts.get(at, 0)
            counts[at] = index + 1
            assert row.scores == {"aligned": scores[(*at, index)] + more}
    with pytest.raises(UserError, match=r"no judge 'nobody' in .*; there is rubric, reader"):
        list(stored_rows(FOLDER, project, variant=None, judge="nobody"))


def test_answers_are_texts_in_which_contexts_are_looked_for(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the model read and wrote them: chat, BOS and all, in the order of the rows."""
    for options, variants in (([], VARIANTS), (["--variant", "general"], ["general@1.0"])):
        assert exchange(["answers", PROFILE, "--format", "jsonl", *options, "--out", "t.jsonl"]) == 0
        found = read_texts(Path("t.jsonl"), project, 10_000)
        questions = {question.hash: question for question in read_questions(FOLDER / "questions.json")}
        written = []
        for of in questions.values():
            for variant in variants:
                item = open_collection(FOLDER / "answers").item(of.hash, variant)
                wordings = item.arrays["answer_paraphrase"].tolist()
                written += [
                    (*of.paraphrases[wording].token_ids, *ids)
                    for wording, ids in zip(wordings, answer_tokens(item), strict=True)
                ]
        assert capsys.readouterr().out == f"t.jsonl: {len(written)} answers\n"
        assert [project.decode(ids) for ids in found] == [project.decode(ids) for ids in written]
        # A random model writes what no tokenizer would make of the same text; what it was asked is exact.
        asked = [text for of in questions.values() for text in of.paraphrases]
        assert all(any(ids[: len(of.token_ids)] == of.token_ids for of in asked) for ids in found)
