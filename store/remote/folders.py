"""Files by name, which take effect whole, and those of a folder of this machine."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple, Protocol

from store.base.atomic import write_bytes


class Facts(NamedTuple):
    """Of a file: its size in bytes, and when it was written, in seconds since the epoch."""

    size: int
    written: float


class Files(Protocol):
    """Files by name (``a/b.json``), below one place."""

    def holds(self, name: str, *, now: bool = True) -> bool:
        """Whether there is such a file; if not `now`, one that came in the last minute may be missed."""

    def read(self, name: str) -> bytes | None:
        """Its content; None where there is no such file."""

    def write(self, name: str, content: bytes) -> None:
        """Write it whole: whoever reads meanwhile has what was there, or all of the new."""

    def remove(self, name: str) -> None:
        """Remove it, if it is there."""

    def remove_all(self, names: Sequence[str]) -> None:
        """Remove those that are there."""

    def facts(self) -> dict[str, Facts]:
        """All files, sorted by name."""


@dataclass(frozen=True)
class FolderFiles:
    """Files below a folder, which is made when the first is written."""

    folder: Path

    def __str__(self) -> str:
        return str(self.folder)

    def holds(self, name: str, *, now: bool = True) -> bool:
        """Whether there is such a file."""
        return (self.folder / name).exists()

    def read(self, name: str) -> bytes | None:
        """Its content; None where there is no such file."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write it aside and rename it."""
        write_bytes(self.folder / name, content)

    def remove(self, name: str) -> None:
        """Remove it, if it is there: another process may have done so."""
        (self.folder / name).unlink(missing_ok=True)

    def remove_all(self, names: Sequence[str]) -> None:
        """Remove those that are there; their folders stay, for somebody may be writing into them."""
        for name in names:
            self.remove(name)

    def facts(self) -> dict[str, Facts]:
        """All files, sorted by name; what goes meanwhile is left out, and what lies in hidden folders."""
        found = {}
        for folder, below, names in os.walk(self.folder):
            below[:] = [name for name in below if not name.startswith(".")]
            for path in (Path(folder, name) for name in names):
                with suppress(FileNotFoundError):
                    status = path.stat()
                    if S_ISREG(status.st_mode):
                        name = path.relative_to(self.folder).as_posix()
                        found[name] = Facts(status.st_size, status.st_mtime)
        return dict(sorted(found.items()))
