"""What this process is at: a bar in the terminal, and a small file that Overview reads.

Whoever counts sets numbers; a thread writes them every few seconds. So no unit waits for a disk, and a
stage that computes one long unit still says that it lives.
"""

import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tqdm import tqdm

from store.base.running import Running, ended, read_running, remove_running, write_running

EVERY: Final = 2.0
"""Seconds from one writing to the next."""
_FORGOTTEN: Final = 3600.0
"""Seconds after which a process of another machine that says nothing gives way; one that lives comes back."""


@dataclass(kw_only=True)
class Progress:
    """Units that are counted.

    Attributes
    ----------
    label, total
        What they are, and how many.
    done, failed
        How many are over, and how many of those could not be computed.
    begun
        When the first was begun, by this process's monotonic clock.
    page
        Address of the page of the engine that computes them.
    """

    label: str
    total: int
    bar: tqdm
    done: int = 0
    failed: int = 0
    begun: float = field(default_factory=time.monotonic)
    page: str = ""

    def update(self, by: int = 1) -> None:
        """So many more are over."""
        self.done += by
        self.bar.update(by)


class _Stage:
    """The stage of this process, and what it counts now."""

    def __init__(self, root: Path, stage: str, profile: str) -> None:
        self._root = root
        self._began = time.monotonic()
        self._over = threading.Event()
        self._first = Running(
            profile=profile, stage=stage, host=platform.node(), process=os.getpid(), told=time.time()
        )
        self.counts: Progress | None = None

    def say(self) -> None:
        """Write it down; a disk that refuses ends no stage."""
        now, counts = time.monotonic(), self.counts
        changes: dict[str, object] = {"told": time.time(), "seconds": now - self._began}
        if counts is not None:
            changes |= {
                "units": counts.label,
                "total": counts.total,
                "done": counts.done,
                "failed": counts.failed,
                "counted": now - counts.begun,
                "page": counts.page,
            }
        with suppress(OSError):
            write_running(self._root, self._first.model_copy(update=changes))

    def go_on_saying(self) -> None:
        """Until it is over."""
        while not self._over.wait(EVERY):
            self.say()

    def end(self, thread: threading.Thread) -> None:
        self._over.set()
        thread.join()
        with suppress(OSError):
            remove_running(self._root, self._first)


_stage: _Stage | None = None


@contextmanager
def announced(stage: str, profile: str, root: Path = Path()) -> Iterator[None]:
    """Say that this process runs a stage of a profile, and what it counts, while the block runs.

    What stages of the profile have left that were killed is removed.
    """
    global _stage
    with suppress(OSError):
        for one in read_running(root):
            if one.profile == profile and (ended(one) or time.time() - one.told > _FORGOTTEN):
                remove_running(root, one)
    _stage = mine = _Stage(root.absolute(), stage, profile)
    mine.say()
    thread = threading.Thread(target=mine.go_on_saying, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        _stage = None
        mine.end(thread)


@contextmanager
def counted(total: int, label: str, unit: str = "unit") -> Iterator[Progress]:
    """Show how many units are over while the block runs: in the terminal, and on Overview if a stage runs.

    Parameters
    ----------
    total
        How many there are; nothing is shown of none.
    label, unit
        What they are, and what one is called.
    """
    with tqdm(total=total, desc=label, unit=unit, disable=not total) as bar:
        progress = Progress(label=label, total=total, bar=bar)
        before = _stage.counts if _stage is not None else None
        if _stage is not None and total:
            _stage.counts = progress
        try:
            yield progress
        finally:
            if _stage is not None and _stage.counts is progress:
                _stage.counts = before
