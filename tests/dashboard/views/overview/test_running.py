"""Overview says what runs, how far it is, and what was ended before it was done."""

import os
import platform
import time
from pathlib import Path
from typing import Any

import pytest

from dashboard.data import running
from dashboard.views.overview.running import _rate, _time
from store.base.running import Running, remove_running, write_running
from tests.support.app import OpenPage, plain_words, words
from tests.support.processes import ended_process


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who spoke just now lives, however long a slow machine takes to open the page."""
    monkeypatch.setattr(running, "SILENT", 1e6)


def says(root: Path, **changes: Any) -> Running:
    """What a stage of this machine says just now."""
    given = {
        "profile": "demo",
        "stage": "graphs",
        "host": platform.node(),
        "process": os.getpid(),
        "told": time.time(),
        "seconds": 75.0,
    }
    one = Running(**(given | changes))
    write_running(root, one)
    return one


def test_what_runs_is_said_with_its_units_and_goes_with_it(open_page: OpenPage, root: Path) -> None:
    one = says(
        root,
        profile="de*mo",
        units="judge B_2",
        total=120,
        done=40,
        failed=2,
        counted=20.0,
        page="http://127.0.0.1:8787/status",
    )
    app = open_page("overview")
    assert not app.exception
    assert "`graphs` of de\\*mo runs, for 1 min 15 s so far." in words(app)
    told = "Judge B_2: 40 of 120 units are over, 2 of them failed, 2.00 a second, some 40 s left."
    assert told in plain_words(app)
    assert "[Dask's own page](http://127.0.0.1:8787/status)" in plain_words(app)
    remove_running(root, one)
    assert "are over" not in plain_words(app.run())


def test_what_counts_nothing_was_killed_or_says_nothing_is_told_apart(
    open_page: OpenPage, root: Path
) -> None:
    dead = ended_process()
    says(root)
    says(root, stage="dose", process=dead, units="doses", total=9, done=3, counted=3.0, page="javascript:x")
    says(root, stage="rates", host="node_7", told=1_000_000.0, total=2)
    told = plain_words(open_page("overview"))
    assert "`graphs` of demo runs, for 1 min 15 s so far.  \nNo units are counted now." in told
    ended = "`dose` of demo was ended after 1 min 15 s, before it was done. What was finished is kept: "
    assert f"{ended}`dvc repro` goes on.  \nDoses: 3 of 9 units are over." in told
    assert "node_7 may be gone, or cut off from this folder." in told
    assert "javascript" not in told


@pytest.mark.parametrize(
    ("seconds", "told"), [(7.2, "7 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7300, "2 h 1 min")]
)
def test_durations_have_two_units(seconds: float, told: str) -> None:
    assert _time(seconds) == told


def test_rates_are_read_without_a_power_of_ten() -> None:
    assert [_rate(rate) for rate in (12.5, 1.0, 0.05)] == ["12.5 a second", "1.00 a second", "3.00 a minute"]
