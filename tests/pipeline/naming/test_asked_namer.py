"""A judge behind the SDK names features: asked thrice each at most, and never twice the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.judging.openai_judge import Service
from pipeline.naming.asked_namer import AskedNamer
from pipeline.naming.scoring import Named, named, summary
from store.base.errors import UserError
from tests.support.judge_server import JudgeServer
from tests.support.judging import KEY, openai_params
from tests.support.naming import plant
from tests.support.places import ROOT

PROGRAM = """
import sys
from pathlib import Path
from tests.pipeline.naming.test_asked_namer import run

print(sum(each.status == "scored" for each in run(sys.argv[1], Path(sys.argv[2]))[0]))
"""
N = 6


def run(url: str, path: Path, **changes: Any) -> tuple[list[Named], AskedNamer]:
    cases = plant(N, on_a_token=True).cases()
    namer = AskedNamer("gpt", Service("gpt", openai_params(url, **changes)), path)
    namer.prepare(cases)
    return named(cases, namer, confidence=0.95, seed=0), namer


def test_names_are_asked_for_and_held_against_contexts(server: JudgeServer, tmp_path: Path) -> None:
    found, namer = run(server.url, tmp_path / "gpt.jsonl")
    assert [each.name for each in found] == [f"the word word{token}" for token in range(1, N + 1)]
    assert {each.score.balanced_accuracy for each in found} == {1.0}
    assert {each.shuffled for each in found} == {0.5}
    assert len(server.received) == 3 * N
    assert (namer.usage().calls, summary(found, namer)["above_control"]) == (3 * N, N)
    assert namer.cost() == pytest.approx(3 * N * (100 * 1.0 + 10 * 10.0) / 1e6)


def test_faults_are_kept_with_their_status_and_only_an_outage_is_asked_again(
    server: JudgeServer, tmp_path: Path
) -> None:
    path = tmp_path / "gpt.jsonl"
    faults = {
        "word1 ": "500",  # no name at all
        "word2 ": "type",  # one that is none
        "word3 ": "refusal",
    }

    def fault(text: str, before: int) -> str:
        if text.startswith("name"):
            return "missing" if text == "name the word word4" else "500" if text.endswith("word5") else ""
        place = next((number for number in range(1, 4) if f'[" word{number}", ' in text), 0)
        return faults.get(f"word{place} ", "") or ("" if before else "429")

    server.fault = fault
    found, _ = run(server.url, path)
    assert [each.status for each in found[:5]] == [
        "unreachable", "malformed", "refused", "malformed", "unreachable",
    ]  # fmt: skip
    assert [bool(each.name) for each in found] == [False, False, False, True, True, True]
    assert "500" in found[0].detail
    assert "lacks" in found[3].detail
    server.fault = lambda text, before: ""
    server.forget()
    again, _ = run(server.url, path)
    assert [each.status for each in again[:4]] == ["scored", "malformed", "refused", "malformed"]
    assert again[4].status == "scored"
    assert not [about for about in server.asked() if '[" word2", ' in about or '[" word3", ' in about]
    before = path.read_bytes()
    server.forget()
    assert run(server.url, path)[0] == again
    assert not server.received, "nothing is asked twice"
    assert path.read_bytes() == before
    assert KEY.encode() not in before


def test_an_edit_of_the_code_asks_nothing_again(server: JudgeServer, tmp_path: Path) -> None:
    path = tmp_path / "gpt.jsonl"
    run(server.url, path)
    server.forget()
    copy = tmp_path / "copy"
    for package in ("pipeline", "store", "tests/support", "tests/pipeline/naming"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for package in ("tests", "tests/pipeline"):
        shutil.copyfile(ROOT / package / "__init__.py", copy / package / "__init__.py")
    for module in [*(copy / "pipeline/judging").glob("*.py"), *(copy / "pipeline/naming").glob("*.py")]:
        text = module.read_text(encoding="utf-8")
        module.write_text(text.replace('"""', '"""Edited. ', 1) + "\n\ndef _new() -> int:\n    return 1\n")
    # Without a key: whatever was missing would end it.
    environment = {name: value for name, value in os.environ.items() if name != "JUDGE_KEY"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.url, str(path)],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (0, f"{N}\n"), done.stderr
    assert not server.received


def test_limits_are_held_against_all_that_names_bring_about(server: JudgeServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{3 * N} calls are needed, but max_calls is {3 * N - 1}"):
        run(server.url, tmp_path / "gpt.jsonl", max_calls=3 * N - 1)
    assert not server.received
    found, _ = run(server.url, tmp_path / "gpt.jsonl", max_calls=3 * N)
    assert {each.status for each in found} == {"scored"}


def test_a_key_is_needed_only_where_something_is_to_be_asked(
    server: JudgeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JUDGE_KEY")
    with pytest.raises(UserError, match=r"^judges\.gpt: the environment has no JUDGE_KEY"):
        run(server.url, tmp_path / "gpt.jsonl")
    monkeypatch.setenv("JUDGE_KEY", KEY)
    run(server.url, tmp_path / "gpt.jsonl")
    monkeypatch.delenv("JUDGE_KEY")
    assert {each.status for each in run(server.url, tmp_path / "gpt.jsonl")[0]} == {"scored"}


def test_a_key_that_a_service_repeats_is_written_nowhere(server: JudgeServer, tmp_path: Path) -> None:
    server.fault = lambda text, before: "give the key as a reason" if text.startswith("contexts") else ""
    found, _ = run(server.url, tmp_path / "gpt.jsonl")
    assert all("***" in each.name for each in found)
    written = json.loads((tmp_path / "gpt.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert KEY not in json.dumps(written)
    assert KEY.encode() not in (tmp_path / "gpt.jsonl").read_bytes()
