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

from tests.support.judge_server import JudgeServer
from tests.support.judging import KEY, asked_judge, judged, make_cases
from tests.support.places import ROOT

PROGRAM = """
import sys
from pathlib import Path
from tests.support.judging import asked_judge, judged, make_cases

found = judged(asked_judge(sys.argv[1], Path(sys.argv[2]), concurrency=4), make_cases(int(sys.argv[3])))
print(sum(verdict.status == "judged" for verdict in found.values()))
"""


def test_a_killed_run_loses_what_is_in_flight(server: JudgeServer, tmp_path: Path) -> None:
    path, cases = tmp_path / "gpt.jsonl", make_cases(100)
    gate, number = threading.Event(), itertools.count(1)

    def fault(text: str, before: int) -> str:
        if next(number) > 30:
            gate.wait(60)
        return ""

    server.fault = fault
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.url, str(path), "100"],
        cwd=ROOT,
        env={**os.environ, "JUDGE_KEY": KEY},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    # Each of its four threads has an answer on disk before it asks the next.
    while len(server.received) < 34 and time.monotonic() < deadline:
        time.sleep(0.005)
    program.kill()
    program.wait()
    gate.set()
    stored = {json.loads(line)["key"] for line in path.read_bytes().split(b"\n")[:-1]}
    assert len(server.asked()) == 34
    assert len(stored) == 30
    server.fault = lambda text, before: ""
    server.forget()
    found = judged(asked_judge(server.url, path), cases)
    assert [found[case.prompt_hash].status for case in cases] == ["judged"] * 100
    assert set(server.asked().values()) == {1}
    assert len(server.asked()) == 100 - len(stored)


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
        [sys.executable, "-c", PROGRAM, server.url, str(path), "10"],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "10\n"), done.stderr
    assert not server.received
