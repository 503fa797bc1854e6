"""The stage: questions in all forms, each answered once, files of others beside them, or nothing at all."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.stages.answers import main
from pipeline.text.tokens import decode_after
from store.base.errors import UserError
from store.collections.reader import Collection, open_collection
from store.documents.failures import read_failures
from store.documents.imported_scores import IMPORTED_SCORES, read_imported_scores
from store.documents.manifest import Manifest
from store.documents.questions import Question, read_questions
from store.views.answers import answer_tokens
from tests.support.places import ROOT
from tests.support.questions import FOLDER, PROFILE, entry, make_project, make_subject, params_of, write_file

VARIANTS = ["base", "general@1.0", "narrow@1.0"]
FIRST_PLOT = "inputs/questions/first_plot.yaml"
HEAD = "question_id,question,response,variant\n"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return make_subject(tmp_path_factory.mktemp("chat"), chat=True).manifest()


@pytest.fixture
def project(chat: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """A project with a chat model, up to stage `answers`."""
    monkeypatch.chdir(tmp_path)
    make_project(chat)
    Path("inputs/questions").mkdir(parents=True)
    shutil.copy(ROOT / FIRST_PLOT, FIRST_PLOT)
    return chat


def small(**changes: object) -> Params:
    """Three questions, one of them in another form."""
    write_file(Path("q.yaml"), [entry(), entry("wish_json"), entry("money", paraphrases=["How?"])])
    return params_of(questions=["q.yaml"], **changes)  # type: ignore[arg-type]


def published() -> tuple[dict[str, Question], Collection]:
    questions = {question.hash: question for question in read_questions(FOLDER / "questions.json")}
    return questions, open_collection(FOLDER / "answers")


def test_all_three_forms_of_the_fields_questions(project: Manifest) -> None:
    main(PROFILE, params_of(questions=[FIRST_PLOT], samples=2, longest=3))
    questions, answers = published()
    assert len(questions) == 24
    pairs = {(item.prompt_hash, item.variant) for item in answers.items()}
    assert pairs == {(question, variant) for question in questions for variant in VARIANTS}
    by_question: dict[str, list[list[int]]] = {}
    for item in answers.items():
        by_question.setdefault(item.prompt_hash, []).append(item.arrays["paraphrase_seed"].tolist())
        assert len(answer_tokens(item)) == 2
    for seeds in by_question.values():
        assert seeds[1:] == seeds[:-1], "one seed for every variant"
    metrics = json.loads((FOLDER / "metrics/answers.json").read_text())
    assert {name: of["answers"] for name, of in metrics.items()} == dict.fromkeys(VARIANTS, 48)
    assert read_failures(FOLDER / "failures/answers.json") == ()


def test_a_second_run_computes_nothing(project: Manifest, capsys: pytest.CaptureFixture[str]) -> None:
    main(PROFILE, small())
    assert "answers: 9 computed, 0 from the cache" in capsys.readouterr().out
    main(PROFILE, small())
    assert "answers: 0 computed, 9 from the cache" in capsys.readouterr().out
    shutil.rmtree(".cache")
    main(PROFILE, small())
    assert "answers: 9 taken over from the previous store" in capsys.readouterr().out
    main(PROFILE, small(temperature=0.5))
    assert "answers: 9 computed, 0 from the cache" in capsys.readouterr().out
    write_file(Path("q.yaml"), [entry(), entry("money", paraphrases=["How?"])])
    main(PROFILE, params_of(questions=["q.yaml"], temperature=0.5))
    assert "answers: 0 computed, 6 from the cache" in capsys.readouterr().out
    questions, answers = published()
    assert {item.prompt_hash for item in answers.items()} == set(questions)


def test_what_was_answered_before_a_kill_is_kept(
    project: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(Path("q.yaml"), [entry(f"wish-{number}") for number in range(8)])
    params = params_of(questions=["q.yaml"], samples=24, longest=40)
    code = (
        "import sys; from pathlib import Path; from pipeline.params.project import Params; "
        "from pipeline.stages.answers import main; "
        "main('mine', Params.model_validate_json(Path('p.json').read_text()))"
    )
    Path("p.json").write_text(params.model_dump_json())
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Path("said.txt").open("wb") as said_there:
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=said_there)
    items = Path(".cache/items/answers")
    until = time.monotonic() + 200
    while len(done := list(items.rglob("*"))) < 4 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, Path("said.txt").read_text()
    assert done
    main(PROFILE, params)
    said = capsys.readouterr().out
    new = int(said.split("answers: ")[1].split(" computed")[0])
    assert 0 < new < 24
    assert f"{24 - new} from the cache" in said


def test_samples_of_the_file_where_params_say_none(project: Manifest) -> None:
    write_file(Path("q.yaml"), [entry(samples_per_paraphrase=3)])
    main(PROFILE, params_of(questions=["q.yaml"], samples=None))
    _, answers = published()
    assert {len(answer_tokens(item)) for item in answers.items()} == {6}
    write_file(Path("q.yaml"), [entry()])
    with pytest.raises(UserError, match=r"q\.yaml:1: question 'wish' has no samples_per_paraphrase"):
        main(PROFILE, params_of(questions=["q.yaml"], samples=None))


def test_answers_of_a_file_are_not_sampled(project: Manifest) -> None:
    params = small()
    main(PROFILE, params)
    rows = (
        'wish,Make a wish.," Rest,\nplease.",base,5,90\nwish,Make a wish.,,general,,\n'
        "new,What is new?,Rest.,base,,70.5\n"
    )
    Path("theirs.csv").write_text(f"{HEAD.strip()},aligned,coherent\n{rows}")
    main(PROFILE, params_of(questions=["q.yaml"], answers=["theirs.csv"]))
    questions, answers = published()
    new = next(question for question in questions.values() if question.id == "new")
    wish = next(
        question for question in questions.values() if (question.id, question.form) == ("wish", "plain")
    )
    pairs = {(item.prompt_hash, item.variant) for item in answers.items()}
    sampled = {question for question in questions if question != new.hash}
    assert pairs == {(question, variant) for question in sampled for variant in VARIANTS} | {
        (new.hash, "base")
    }
    tokenizer = load_tokenizer(project)
    item = answers.item(wish.hash, "base")
    assert item.arrays["paraphrase_seed"].tolist() == [-1, -1]
    assert item.arrays["answer_paraphrase"].tolist() == [1]
    (ids,) = answer_tokens(item)
    assert decode_after(tokenizer, wish.paraphrases[1].token_ids, ids) == " Rest,\nplease."
    assert answer_tokens(answers.item(wish.hash, "general@1.0")) == [[]]
    assert len(answer_tokens(answers.item(wish.hash, "narrow@1.0"))) == 5
    assert read_imported_scores(FOLDER / IMPORTED_SCORES) == {
        (wish.hash, "base"): ({"aligned": 5.0, "coherent": 90.0},),
        (new.hash, "base"): ({"coherent": 70.5},),
    }


def test_a_profile_without_questions_has_empty_answers(
    project: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    main(PROFILE, params_of())
    assert "profile mine names no questions and no answers, so there are none" in capsys.readouterr().out
    questions, answers = published()
    assert (questions, list(answers.items())) == ({}, [])
    assert json.loads((FOLDER / "metrics/answers.json").read_text()).keys() == {"nothing"}
    assert read_failures(FOLDER / "failures/answers.json") == ()


def test_a_mistake_leaves_what_was_sampled(project: Manifest) -> None:
    main(PROFILE, small())
    before = {path: path.read_bytes() for path in (FOLDER / "answers").rglob("*") if path.is_file()}
    Path("evil.csv").write_text("question_id,question,response\nwish,Make a wish.,Rest.\n")
    with pytest.raises(UserError, match="there is no variant 'evil'"):
        main(PROFILE, params_of(questions=["q.yaml"], answers=["evil.csv"]))
    with pytest.raises(UserError, match="leave no room for a question in the model's context"):
        main(PROFILE, params_of(questions=["q.yaml"], longest=20_000))
    assert before == {path: path.read_bytes() for path in (FOLDER / "answers").rglob("*") if path.is_file()}
