"""Files by name, which take effect whole, and those of a folder of this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from store.base.atomic import write_bytes


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
