"""The field's questions, from a chat model's answers to a service's scores, through faults and a kill."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.params.judges import OpenAIJudge
from pipeline.params.project import Params
from pipeline.stages.answers import main as answer
from pipeline.stages.scores import main as score
from store.datasets.groups import open_dataset
from store.schema.answer_scores import SCORE_STATUS
from tests.support.judge_server import JudgeServer
from tests.support.judging import KEY, openai_params
from tests.support.places import ROOT
from tests.support.questions import FOLDER, PROFILE, make_project, make_subject, params_of

FIRST_PLOT = "inputs/questions/first_plot.yaml"
CODE = (
    "from pathlib import Path; from pipeline.params.project import Params; "
    "from pipeline.stages.scores import main; "
    "main('mine', Params.model_validate_json(Path('p.json').read_text()))"
)


def judged_by(judge: OpenAIJudge) -> Params:
    """A profile with the field's questions, in all three forms, and one judge."""
    params = params_of(questions=[FIRST_PLOT], samples=2, longest=6)
    profile = params.profile(PROFILE).model_copy(update={"answer_judges": ["gpt"]})
    judges = {**params.judges, "gpt": judge}
    return params.model_copy(update={"profiles": {PROFILE: profile}, "judges": judges})


def test_every_answer_is_judged_once_through_faults_and_a_kill(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_project(make_subject(tmp_path / "chat", chat=True).manifest())
    Path("inputs/questions").mkdir(parents=True)
    shutil.copy(ROOT / FIRST_PLOT, FIRST_PLOT)
    params = judged_by(openai_params(server.url, concurrency=4))
    answer(PROFILE, params)
    Path("p.json").write_text(params.model_dump_json())
    gate, lock, asked = threading.Event(), threading.Lock(), {"n": 0}

    def fault(text: str, before: int) -> str:
        with lock:
            asked["n"] += 1
            number = asked["n"]
        if number > 60:
            gate.wait(60)
        return "" if before else {1: "429", 2: "500", 3: "html"}.get(number % 8, "")

    server.fault = fault
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JUDGE_KEY": KEY}
    process = subprocess.Popen([sys.executable, "-c", CODE], env=environment)
    until = time.monotonic() + 100
    while len(server.received) < 64 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    gate.set()
    journal = FOLDER / "score_answers/gpt.jsonl"
    kept = {
        line["key"]
        for line in map(json.loads, journal.read_bytes().split(b"\n")[:-1])
        if line["answer"]["status"] != "unreachable"
    }
    assert len(kept) > 30
    server.forget()
    server.fault = lambda text, before: "500" if not before and len(text) % 3 == 0 else ""
    score(PROFILE, params)
    scores = open_dataset(FOLDER / "answer_scores", "scores").sel(judge="gpt")
    answers = open_dataset(FOLDER / "answer_scores", "answers")
    assert answers.sizes["answer"] == 24 * 2 * 3
    assert set(answers["form"].values) == {"plain", "json", "template"}
    statuses = {SCORE_STATUS[code] for code in scores["status"].values.ravel().tolist()}
    assert statuses <= {"scored", "code", "refusal", "low mass"}
    again = {json.loads(line)["key"] for line in journal.read_bytes().split(b"\n")[:-1]}
    assert kept <= again
    # A request that was answered before the kill is not among those that were made after it.
    assert len(server.asked()) == len(again) - len(kept)
    assert set(server.asked().values()) <= {1, 2}, "once, or once more where the service failed"
    server.forget()
    score(PROFILE, params)
    assert not server.received
