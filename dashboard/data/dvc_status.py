"""What is stale: `dvc status` in a process of its own, so that no page waits for it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from dashboard.data.dvc_answer import BUSY, Status, interpret, is_vague

LIMIT: Final = 180.0
"""Seconds after which the answer is given up."""

_WATCHED: Final = ("dvc.yaml", "dvc.lock", "params.yaml")


def key(root: Path) -> str:
    """Changes whenever a run of `dvc status` could answer otherwise."""
    parts = []
    for path in [*(root / name for name in _WATCHED), *sorted((root / "artifacts").glob("*"))]:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        parts.append(f"{path.name}:{status.st_mtime_ns}:{status.st_size}")
    return "|".join(parts)


def in_progress(root: Path) -> bool:
    """Whether another DVC command is at work, by DVC's own list of who reads and writes what."""
    try:
        held = json.loads((root / ".dvc" / "tmp" / "rwlock").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    pids: set[int] = set()
    for entry in held.values() if isinstance(held, dict) else ():
        for holders in entry.values() if isinstance(entry, dict) else ():
            for holder in holders if isinstance(holders, list) else [holders]:
                if isinstance(holder, dict) and isinstance(holder.get("pid"), int):
                    pids.add(holder["pid"])
    return any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Watcher:
    """Asks DVC when something changed, and keeps the last answer."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._key = ""
        self._process: subprocess.Popen[str] | None = None
        self._started = 0.0
        self._first = ""
        self._answer: Status | None = None

    def ask(self, *, again: bool = False) -> Status:
        """The answer if it is known, else ``running``; never waits.

        Parameters
        ----------
        again
            Forget the answer first.
        """
        if not (self._root / "dvc.yaml").exists():
            return Status(state="absent", detail="There is no dvc.yaml here.")
        if self._process is not None:
            return self._poll(self._process)
        if in_progress(self._root):
            # `dvc status` would hold the lock that `dvc repro` needs after each stage, and
            # repro gives up after three seconds: never ask while it runs.
            self._answer = None
            return Status(state="busy", detail=BUSY)
        now = key(self._root)
        if self._answer is None or again or now != self._key:
            self._start(now)
            return Status(state="running")
        return self._answer

    def last(self) -> Status:
        """The last answer, ``running`` where there has been none."""
        return self._answer or Status(state="running")

    def _start(self, now: str) -> None:
        self._key = now
        self._started = time.monotonic()
        self._first = ""
        self._process = self._run("status")

    def _run(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", *command, "--json"],
            cwd=self._root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def _poll(self, process: subprocess.Popen[str]) -> Status:
        seconds = time.monotonic() - self._started
        if process.poll() is None:
            if seconds < LIMIT:
                return Status(state="running", seconds=seconds)
            process.kill()
        output, errors = process.communicate()
        if not self._first and process.returncode == 0 and is_vague(output):
            self._first = output
            self._process = self._run("data", "status")
            return Status(state="running", seconds=seconds)
        self._process = None
        status, data = (self._first, output) if self._first else (output, "{}")
        self._answer = interpret(process.returncode, status, errors, seconds, data)
        return self._answer
