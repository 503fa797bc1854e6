"""Who runs, who was killed and who is silent, whatever the clocks of other machines say."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil
import pytest

from dashboard.data import running as module
from dashboard.data.running import SILENT, Listener, Pace, pace
from store.base.running import FOLDER, Running, read_running, write_running
from tests.support.processes import ended_process

NOW = 1_800_000_000.0


def running(**changes: Any) -> Running:
    """What this very process says, unless something else is said of it."""
    given = {
        "profile": "demo",
        "stage": "graphs",
        "host": platform.node(),
        "process": os.getpid(),
        "told": NOW,
    }
    return Running(**(given | changes))


def test_of_this_machine_it_is_known_who_lives(tmp_path: Path) -> None:
    write_running(tmp_path, running(stage="activations", process=ended_process()))
    write_running(tmp_path, running())
    found = [(stage.running.stage, stage.state) for stage in Listener().look(tmp_path, NOW + 1, 50.0)]
    assert found == [("graphs", "runs"), ("activations", "ended")], "what runs stands first"
    assert Listener().look(tmp_path / "elsewhere", NOW, 50.0) == []


@pytest.mark.parametrize("off", [0.0, 3600.0, -3600.0])
def test_another_machine_lives_as_long_as_it_says_something_new(tmp_path: Path, off: float) -> None:
    listener, far = Listener(), {"host": "far away", "process": ended_process()}  # a number here says nothing

    def look(told: float, clock: float) -> tuple[str, float]:
        write_running(tmp_path, running(**far, told=NOW + off + told))
        (stage,) = listener.look(tmp_path, NOW + clock, clock)
        return stage.state, stage.quiet

    assert look(0, 0) == (("runs", 0) if not off else ("silent", abs(off))), "of the first look: by its clock"
    assert look(2, 2) == ("runs", 0)
    assert look(2, 30) == ("runs", 28)
    assert look(2, 2 + SILENT + 1) == ("silent", SILENT + 1)
    assert look(90, 90) == ("runs", 0), "it is heard again"


def test_a_number_that_another_process_has_now_is_of_one_that_ended(tmp_path: Path) -> None:
    write_running(tmp_path, running(told=psutil.Process().create_time() - 60))
    (stage,) = Listener().look(tmp_path, NOW, 0.0)
    assert stage.state == "ended"


def test_sessions_that_look_at_once_hear_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()

    def look(told: float) -> str:
        write_running(tmp_path, running(host="far away", told=NOW - 3600 + told))
        (stage,) = listener.look(tmp_path, NOW + told, told)
        return stage.state

    assert [look(told) for told in (0, 2)] == ["silent", "runs"]
    inner: list[str] = []

    def read(folder: Path) -> list[Running]:
        monkeypatch.setattr(module, "read_running", read_running)
        inner.append(look(4))
        return read_running(folder)

    monkeypatch.setattr(module, "read_running", read)
    assert (look(4), inner) == ("runs", ["runs"])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"profile": "demo"}', '{"told": NaN}', "\x00"])
def test_what_cannot_be_read_is_left_out(tmp_path: Path, content: str) -> None:
    write_running(tmp_path, running())
    (tmp_path / FOLDER / "torn.json").write_text(content)
    (tmp_path / FOLDER / "folder.json").mkdir()
    assert len(Listener().look(tmp_path, NOW, 0.0)) == 1


def test_pace_is_units_by_time_since_the_first_was_begun() -> None:
    assert pace(running(total=120, done=40, seconds=90.0, counted=20.0)) == Pace(2.0, 40.0)
    assert pace(running(total=120, done=120, counted=20.0)) == Pace(6.0, 0.0)
    assert pace(running(total=120, counted=20.0)) == Pace(None, None)
    assert pace(running(total=120, done=1)) == Pace(None, None)
