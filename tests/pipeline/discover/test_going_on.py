"""However a discovery ends, it goes on to the same end, and asks nothing again that was answered."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.discover import log, rounds
from pipeline.discover.program import discover
from pipeline.judging import journal
from store.documents.discovery import DISCOVERY, ROUNDS, Discovery
from tests.support.discovery import (
    FOLDER,
    GENERATED,
    WRITER,
    environment,
    found,
    given_params,
    lines,
    written,
)
from tests.support.judge_server import JudgeServer
from tests.support.judging import KEY

pytestmark = pytest.mark.usefixtures("project")


class _Killed(BaseException):
    """As if the process had ended here."""


def _state() -> tuple[list[dict[str, Any]], list[tuple[int, int, str, str]]]:
    outcomes = found().outcomes
    return lines(), sorted((*at, each.status, each.rule) for at, each in outcomes.items())


def test_ended_behind_any_write_it_goes_on_to_the_same_end(
    server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record, every answer and every line is the last thing that is written once."""
    server.drafts = lambda number: written(number, 2)
    params = given_params((WRITER,), url=server.url, generator=WRITER, rounds=2, count=3, a_round=2)
    discover("mine", params)
    whole, asked = _state(), server.asked()
    assert set(asked.values()) == {1}
    writes = 0
    places: list[tuple[Any, str]] = [(log.Log, "add"), (journal.Journal, "add"), (rounds, "keep")]

    def counting(real: Callable[..., Any], last: int) -> Callable[..., Any]:
        def write(*arguments: Any) -> Any:
            nonlocal writes
            done = real(*arguments)
            writes += 1
            if writes == last:
                raise _Killed
            return done

        return write

    for last in range(1, 40):
        _forget_all()
        server.forget()
        writes = 0
        with monkeypatch.context() as patched:
            for of, name in places:
                patched.setattr(of, name, counting(getattr(of, name), last))
            try:
                discover("mine", params)
            except _Killed:
                pass
            else:
                break
        # A torn line behind the last one, as a killed writer leaves it.
        path = FOLDER / DISCOVERY / ROUNDS
        path.write_bytes(path.read_bytes() + b'{"record": "outc')
        _rest(params)
        assert _state() == whole, last
        assert server.asked() == asked, last
        assert sum(each.calls for each in found().ended.values()) == len(server.received), last
    assert writes >= 15


def _rest(params: Any) -> None:
    """Go on until as many rounds are done as without an end in between."""
    left = 2 - len(found().begun)
    if left:
        discover(
            "mine",
            params.model_copy(update={"discover": params.discover.model_copy(update={"rounds": left})}),
        )
    else:
        fewer = params.discover.model_copy(update={"count": 1})
        discover("mine", params.model_copy(update={"discover": fewer}))


def _forget_all() -> None:
    for path in (FOLDER / DISCOVERY).rglob("*.jsonl"):
        path.unlink()
    for path in (FOLDER / "judge_answers").glob("*"):
        path.unlink()
    GENERATED.unlink(missing_ok=True)


def test_across_kill_9_nothing_that_is_on_the_disk_is_asked_again(server: JudgeServer, project: Path) -> None:
    server.drafts = written
    gate, reached = threading.Event(), threading.Event()

    def fault(about: str, before: int) -> str:
        if about.startswith("cedar 2 "):
            reached.set()
            gate.wait(60)
        return ""

    server.fault = fault
    settings = {"generator": WRITER, "count": 100, "rounds": 2}
    params = given_params((WRITER,), url=server.url, **settings)
    program = subprocess.Popen(
        [sys.executable, "-m", "pipeline.discover", "mine"],
        cwd=project,
        env=environment(KEY),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert reached.wait(120)
    time.sleep(0.1)
    program.kill()
    program.wait()
    gate.set()
    server.fault = lambda about, before: ""
    before: Discovery = found()
    assert before.begun.keys() == {1, 2}
    assert before.ended.keys() == {1}
    kept = lines()
    asked = server.asked()
    server.forget()
    discover("mine", params.model_copy(update={"discover": params.discover.model_copy(update={"rounds": 1})}))
    assert lines()[: len(kept)] == kept
    again = {about for about in server.asked() if about in asked}
    assert again <= {each["text"] for each in written(2)}  # in flight, answered by nobody
    assert "round 2" not in server.asked()
    assert found().ended.keys() >= {1, 2}
    assert len({json.dumps(line) for line in lines()}) == len(lines())
