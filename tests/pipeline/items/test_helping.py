"""Several processes compute what is missing: two that were started, and one with helpers of its own."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.items.cache import ItemCache
from pipeline.items.executor import claim, compute_unit, in_this_process, lacks, with_helpers
from tests.support.shared_work import no_models
from tests.support.told_units import stored, unit, who


def _work(root: Path, log: Path, first: int) -> None:
    """What another process does: the same units, in another order."""
    order = [*range(first, 6), *range(first)]
    in_this_process(
        [unit(i, log=str(log), seconds=0.05) for i in order], no_models, ItemCache(root), f"from {first}"
    )


@pytest.fixture
def processes() -> Any:
    # Forking would carry over torch's threads; a fresh interpreter is what a user starts.
    return multiprocessing.get_context("spawn")


def test_two_executors_at_once_share_the_work(tmp_path: Path, processes: Any) -> None:
    log = tmp_path / "log"
    both = [processes.Process(target=_work, args=(tmp_path / "items", log, first)) for first in (0, 3)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=300)
    assert [process.exitcode for process in both] == [0, 0]
    done = [line.split()[1] for line in log.read_text().splitlines()]
    assert sorted(done) == [f"{i:012x}" for i in range(6)], "each unit once"
    cache = ItemCache(tmp_path / "items")
    assert all(not lacks(cache, unit(i, seconds=0.05)) for i in range(6))
    assert list((cache.root / "claims").iterdir()) == []


def _hold(root: Path, log: Path) -> None:
    in_this_process([unit(0, log=str(log), seconds=60)], no_models, ItemCache(root), "held")


def test_the_claim_of_a_killed_process_ends_with_it(tmp_path: Path, processes: Any) -> None:
    log, cache = tmp_path / "log", ItemCache(tmp_path / "items")
    holder = processes.Process(target=_hold, args=(cache.root, log))
    holder.start()
    deadline = time.monotonic() + 300
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with claim(cache, unit(0), wait=False) as mine:
        assert not mine, "another process computes it"
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with claim(cache, unit(0), wait=False) as mine:
        assert mine
        assert compute_unit(unit(0), no_models, cache) == []
    assert stored(cache) == 2


def test_helpers_take_a_part_and_give_the_same_bytes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    units = [unit(i, log=str(log), until=3 if i else 1) for i in range(40)]
    alone, shared = ItemCache(tmp_path / "alone"), ItemCache(tmp_path / "shared")
    in_this_process([unit(i) for i in range(40)], no_models, alone, "alone")
    assert with_helpers(3, worth=0)(units, no_models, shared, "shared") == []
    assert len(set(who(log))) == 3
    assert len(who(log)) == 40, "each unit once"
    files = {path.relative_to(alone.root): path.read_bytes() for path in alone.root.rglob("*.safetensors")}
    assert len(files) == 80
    assert all((shared.root / path).read_bytes() == content for path, content in files.items())


def test_no_helper_is_called_for_what_is_soon_done(tmp_path: Path) -> None:
    log = tmp_path / "log"
    units = [unit(i, log=str(log)) for i in range(6)]
    with_helpers(2)(units, no_models, ItemCache(tmp_path / "items"), "short")
    assert set(who(log)) == {str(os.getpid())}


def test_a_helper_that_dies_is_not_missed_and_failures_are_told_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    units = [
        unit(
            i,
            log=str(log),
            until=2 if i else 1,
            seconds=0.05,
            fails=i % 5 == 0,
            dies_unless=os.getpid() if i % 5 == 1 else None,
        )
        for i in range(30)
    ]
    cache = ItemCache(tmp_path / "items")
    failures = with_helpers(2, worth=0)(units, no_models, cache, "dying")
    assert sorted(each.prompt_hash for each in failures) == [f"{i:012x}" for i in range(0, 30, 5)]
    assert len(set(who(log))) > 1, "one has come, and met what kills it"
    assert stored(cache) == 48


def _share_until_killed(root: Path, log: Path) -> None:
    units = [unit(i, log=str(log), seconds=0.2) for i in range(1000)]
    with_helpers(2, worth=0)(units, no_models, ItemCache(root), "killed")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_helpers_end_with_whom_they_help(tmp_path: Path, processes: Any, signum: int) -> None:
    log = tmp_path / "log"
    first = processes.Process(target=_share_until_killed, args=(tmp_path / "items", log))
    first.start()
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not (log.exists() and len(set(who(log))) == 2):
        time.sleep(0.05)
    pids = {int(pid) for pid in who(log)}
    assert len(pids) == 2
    os.kill(first.pid, signum)
    first.join(timeout=300)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and any(map(_alive, pids)):
        time.sleep(0.05)
    assert not any(map(_alive, pids))
