"""Across `kill -9`, and across edits of the code, nothing that was answered is asked again."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from pipeline.judging.asking import JsonForm
from pipeline.judging.journal import request_key
from pipeline.judging.messages import SCHEMA, messages
from pipeline.judging.openai_judge import Service
from tests.support.judge_server import SLOW, JudgeServer
from tests.support.judging import (
    KEY,
    STATUS,
    asked_judge,
    judged,
    make_cases,
    openai_params,
    thousand_candidates,
    through_faults,
)
from tests.support.places import ROOT

PROGRAM = """
import sys
from pathlib import Path
from tests.support.judging import asked_judge, judged, make_cases

judge = asked_judge(sys.argv[1], Path(sys.argv[2]), concurrency=4, timeout=float(sys.argv[4]))
found = judged(judge, make_cases(int(sys.argv[3])))
print(sum(verdict.status == "judged" for verdict in found.values()))
"""
TOO_LATE = 0.75 * SLOW


def killed(server: JudgeServer, path: Path, n: int, *, timeout: float = 5.0, after: int) -> None:
    """Judge so many cases in another process, which is killed while it waits for answers behind so many.

    The server's faults are those of before; they are none when this returns.
    """
    gate, number, fault = threading.Event(), itertools.count(1), server.fault

    def gated(text: str, before: int) -> str:
        if next(number) > after:
            gate.wait(60)
        return fault(text, before)

    server.fault = gated
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.url, str(path), str(n), str(timeout)],
        cwd=ROOT,
        env={**os.environ, "JUDGE_KEY": KEY},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    # Each of its four threads has an answer on disk, or failed, before it asks the next.
    while len(server.received) < after + 4 and time.monotonic() < deadline:
        time.sleep(0.005)
    program.kill()
    program.wait()
    gate.set()
    server.fault = fault


def stored(path: Path) -> dict[str, str]:
    """Status by key of what is on disk, whole lines only."""
    lines = map(json.loads, path.read_bytes().split(b"\n")[:-1])
    return {line["key"]: line["answer"]["status"] for line in lines}


def test_a_killed_run_loses_what_is_in_flight(server: JudgeServer, tmp_path: Path) -> None:
    path, cases = tmp_path / "gpt.jsonl", make_cases(100)
    killed(server, path, 100, after=30)
    assert len(server.asked()) == 34
    assert len(stored(path)) == 30
    server.forget()
    found = judged(asked_judge(server.url, path), cases)
    assert [found[case.prompt_hash].status for case in cases] == ["judged"] * 100
    assert set(server.asked().values()) == {1}
    assert len(server.asked()) == 70


def test_of_a_thousand_candidates_none_is_sent_again_once_it_is_stored(
    server: JudgeServer, tmp_path: Path
) -> None:
    """Killed twice, through every fault: what a line on the disk answers is asked no more."""
    path, cases = tmp_path / "gpt.jsonl", thousand_candidates()
    respondent, form = Service("gpt", openai_params(server.url)), JsonForm("verdicts", SCHEMA)
    text_of = {request_key(respondent.body(messages(case, []), form)): case.text for case in cases}
    server.fault = through_faults(cases)
    done: set[str] = set()
    for after in (200, 150):
        killed(server, path, len(cases), timeout=TOO_LATE, after=after)
        assert not done & server.asked().keys()
        now = {text_of[key] for key, status in stored(path).items() if status != "unreachable"}
        assert done < now < set(text_of.values())
        done = now
        server.forget()
    found = judged(asked_judge(server.url, path, timeout=TOO_LATE), cases)
    assert not done & server.asked().keys()
    assert {number: found[case.prompt_hash].status for number, case in enumerate(cases)} == {
        number: STATUS.get(number, "judged") for number in range(len(cases))
    }
    assert all(len(found[case.prompt_hash].tokens) in {0, len(case.candidates)} for case in cases)
    # Only what nobody answered is asked once more.
    server.forget()
    judged(asked_judge(server.url, path, timeout=TOO_LATE), cases)
    assert server.asked().keys() == {
        cases[number].text for number, status in STATUS.items() if status == "unreachable"
    }


def test_an_edit_of_the_judges_asks_nothing_again(server: JudgeServer, tmp_path: Path) -> None:
    path = tmp_path / "gpt.jsonl"
    judged(asked_judge(server.url, path), make_cases(10))
    server.forget()
    copy = tmp_path / "copy"
    for package in ("pipeline", "store", "tests/support"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "tests/__init__.py", copy / "tests/__init__.py")
    for module in (copy / "pipeline/judging").glob("*.py"):
        text = module.read_text(encoding="utf-8")
        module.write_text(text.replace('"""', '"""Edited. ', 1) + "\n\ndef _new() -> int:\n    return 1\n")
    # Without a key: whatever was missing would end it.
    environment = {name: value for name, value in os.environ.items() if name != "JUDGE_KEY"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.url, str(path), "10", "5"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "10\n"), done.stderr
    assert not server.received
