"""Across `kill -9`, and across edits of the code, every answer is judged once."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.support.judge_server import JudgeServer
from tests.support.judging import KEY
from tests.support.places import ROOT
from tests.support.scoring import asked_scorer, make_answers, scored

PROGRAM = """
import sys
from pathlib import Path
from tests.support.scoring import asked_scorer, make_answers, scored

judge = asked_scorer(sys.argv[1], Path(sys.argv[2]), concurrency=4)
found = scored(judge, make_answers(int(sys.argv[3])))
print(sum(each.status == "scored" for each in found.values()))
"""


def test_a_killed_run_loses_what_is_in_flight(server: JudgeServer, tmp_path: Path) -> None:
    path, answers = tmp_path / "gpt.jsonl", make_answers(40)
    gate, number = threading.Event(), itertools.count(1)

    def fault(text: str, before: int) -> str:
        if next(number) > 31:  # the probe, and thirty
            gate.wait(60)
        return ""

    server.fault = fault
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.url, str(path), "40"],
        cwd=ROOT,
        env={**os.environ, "JUDGE_KEY": KEY},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    # Each of its four threads has an answer on disk before it asks the next.
    while len(server.received) < 35 and time.monotonic() < deadline:
        time.sleep(0.005)
    program.kill()
    program.wait()
    gate.set()
    stored = {json.loads(line)["key"] for line in path.read_bytes().split(b"\n")[:-1]}
    assert len(server.asked()) == 35
    assert len(stored) == 31
    server.fault = lambda text, before: ""
    server.forget()
    found = scored(asked_scorer(server.url, path), answers)
    assert [each.status for each in found.values()] == ["scored"] * 80
    assert set(server.asked().values()) == {1}
    assert len(server.asked()) == 80 + 1 - len(stored)
    whole = tmp_path / "whole.jsonl"
    assert {place: each.score for place, each in found.items()} == {
        place: each.score for place, each in scored(asked_scorer(server.url, whole), answers).items()
    }
    assert whole.read_bytes() == path.read_bytes()


def test_an_edit_of_code_asks_nothing_again(server: JudgeServer, tmp_path: Path) -> None:
    path = tmp_path / "gpt.jsonl"
    scored(asked_scorer(server.url, path), make_answers(5))
    server.forget()
    copy = tmp_path / "copy"
    for package in ("pipeline", "store", "tests/support"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "tests/__init__.py", copy / "tests/__init__.py")
    for room in ("judging", "scoring"):
        for module in (copy / "pipeline" / room).glob("*.py"):
            text = module.read_text(encoding="utf-8")
            module.write_text(
                text.replace('"""', '"""Edited. ', 1) + "\n\ndef _new() -> int:\n    return 1\n"
            )
    # Another way of reading: whatever was kept is read anew.
    reading = copy / "pipeline/analysis/judge_scores.py"
    text = reading.read_text(encoding="utf-8")
    reading.write_text(text.replace("mass < min_mass", "mass < 0.8"))
    assert text != reading.read_text(encoding="utf-8")
    # Without a key: whatever was missing would end it.
    environment = {name: value for name, value in os.environ.items() if name != "JUDGE_KEY"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.url, str(path), "5"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert not server.received
