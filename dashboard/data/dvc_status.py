"""What is stale: `dvc status` in a process of its own, so that no page waits for it."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

LIMIT: Final = 180.0
"""Seconds after which the answer is given up."""

_BUSY: Final = "DVC is busy: `dvc repro` is running. The answer follows when it is done."
_WATCHED: Final = ("dvc.yaml", "dvc.lock", "params.yaml")


@dataclass(frozen=True, kw_only=True)
class Status:
    """Answer of `dvc status`.

    Attributes
    ----------
    state
        running, fresh, stale, busy, absent (no pipeline here) or failed.
    stages
        What changed, by stage that is stale: words such as ``deleted: artifacts/...``.
    detail
        One line for states other than fresh and stale.
    seconds
        How long it took, or has taken so far.
    """

    state: str
    stages: dict[str, list[str]] = field(default_factory=dict)
    detail: str = ""
    seconds: float = 0.0


def parse(output: str) -> dict[str, list[str]]:
    """Stages and what changed, from the JSON of `dvc status --json`.

    Raises
    ------
    ValueError
        It is not what DVC writes.
    """
    document = json.loads(output)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    stages: dict[str, list[str]] = {}
    for stage, reports in document.items():
        changes: list[str] = []
        for report in reports:
            if isinstance(report, str):
                changes.append(report)
                continue
            for section, entries in report.items():
                changes.extend(f"{section}: {what}" for what in _entries(entries))
        stages[stage] = changes
    return stages


def _entries(entries: Any) -> list[str]:
    if not isinstance(entries, dict):
        return [str(entries)]
    out: list[str] = []
    for path, state in entries.items():
        if isinstance(state, dict):
            out.extend(f"{path} {key} {value}" for key, value in state.items())
        else:
            out.append(f"{state} {path}")
    return out


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
    """Runs `dvc status` when something changed, and keeps the last answer."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._key = ""
        self._process: subprocess.Popen[str] | None = None
        self._started = 0.0
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
            return Status(state="busy", detail=_BUSY)
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
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "status", "--json"],
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
        self._process = None
        self._answer = interpret(process.returncode, output, errors, seconds)
        return self._answer


def interpret(code: int, output: str, errors: str, seconds: float) -> Status:
    """What an exit status and two streams of `dvc status` mean."""
    if code == 0:
        try:
            stages = parse(output or "{}")
        except ValueError:
            return Status(state="failed", detail="`dvc status` answered no JSON.", seconds=seconds)
        return Status(state="stale" if stages else "fresh", stages=stages, seconds=seconds)
    lowered = errors.lower()
    if "busy" in lowered or "lock" in lowered:
        return Status(
            state="busy",
            detail=_BUSY,
            seconds=seconds,
        )
    lines = [line for line in errors.strip().splitlines() if line.strip()]
    detail = lines[0] if lines else f"`dvc status` ended with exit status {code}."
    return Status(state="failed", detail=detail, seconds=seconds)


def remedy(status: Status) -> str | None:
    """The command that mends what is stale, None where nothing is."""
    if status.state != "stale":
        return None
    changes = [change for changes in status.stages.values() for change in changes]
    outs = [change for change in changes if change.startswith("changed outs")]
    if outs and len(outs) == len(changes) and all("deleted" in change for change in outs):
        return "dvc pull"
    return "dvc repro"
