"""A scheduler of Dask's and its workers, each a program of its own, as on other machines."""

import random
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

_PORTS: Final = range(20_000, 32_000)
"""None that systems give to whoever asks for any: a port is free again when its program has ended."""


class SchedulerPrograms:
    """Programs at one address that are started and killed.

    Parameters
    ----------
    scratch
        Folder for what workers spill.
    """

    def __init__(self, scratch: Path) -> None:
        self._port = _free_port()
        self.address = f"tcp://127.0.0.1:{self._port}"
        self._scratch = scratch
        self._programs: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start a scheduler at the address, where none is now."""
        return self._start("scheduler", "--host", "127.0.0.1", "--port", str(self._port))

    def start_worker(self, *, comes_again: bool) -> subprocess.Popen[bytes]:
        """Start a worker, which waits for the scheduler; one that comes again has a nanny of Dask's."""
        return self._start(
            *("worker", self.address, "--nthreads", "1", "--local-directory", str(self._scratch)),
            *([] if comes_again else ["--no-nanny"]),
        )

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
        program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._programs.append(program)
        return program

    def end(self) -> None:
        """Kill all, as when a machine loses its power."""
        for program in self._programs:
            program.kill()
            program.wait()
        self._programs.clear()


def _free_port() -> int:
    for port in random.sample(_PORTS, 100):
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")
