"""Processes that tests need to be gone."""

import subprocess
import sys


def ended_process() -> int:
    """Number of a process that has ended; none has it again so soon."""
    process = subprocess.Popen([sys.executable, "-IS", "-c", ""])
    process.wait()
    return process.pid
