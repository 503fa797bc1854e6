"""Folders that are pushed and pulled: every file of one holds its mark, so that a mixture shows."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from store.remote.places import ObjectFiles

AT_ONCE: Final = timedelta(seconds=-1)
"""A time of grace after which all is swept that is not current."""


def filled(folder: Path, mark: str, count: int = 6) -> Path:
    """A folder whose files all hold the mark."""
    for number in range(count):
        path = folder / f"part{number % 2}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{mark} {number}")
    return folder


def marks(folder: Path) -> list[str]:
    """What each of a folder's files holds, by name."""
    return [path.read_text().split()[0] for path in sorted(folder.rglob("*.txt"))]


def versions(place: ObjectFiles) -> set[str]:
    """Versions of which anything is there."""
    return {name.split("/")[1] for name in place.listed("versions")}
