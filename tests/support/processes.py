"""Processes: one that is gone, and what a stage that runs says."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from store.base.running import Running, read_running

_LIMIT: Final = 300.0
"""Seconds after which what is waited for will not come."""


def ended_process() -> int:
    """Number of a process that has ended; none has it again so soon."""
    process = subprocess.Popen([sys.executable, "-IS", "-c", ""])
    process.wait()
    return process.pid


def until(is_so: Callable[[], bool], said: Callable[[], object] = str) -> None:
    """Wait until something is so; `said` tells, of what never was, what is there instead."""
    deadline = time.monotonic() + _LIMIT
    while not is_so():
        assert time.monotonic() < deadline, f"never so: {said()}"
        time.sleep(0.005)


def heard(root: Path, is_it: Callable[[Running], bool]) -> Running:
    """What the one process of a project says of itself, as soon as it is so."""
    found: list[Running] = []

    def said() -> bool:
        found[:] = read_running(root)
        return bool(found) and is_it(found[0])

    until(said, lambda: found)
    return found[0]
