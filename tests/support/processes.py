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


def heard(root: Path, is_it: Callable[[Running], bool]) -> Running:
    """What the one process of a project says of itself, as soon as it is so."""
    deadline = time.monotonic() + _LIMIT
    while time.monotonic() < deadline:
        if (found := read_running(root)) and is_it(found[0]):
            return found[0]
        time.sleep(0.005)
    raise AssertionError(f"never said: {read_running(root)}")
