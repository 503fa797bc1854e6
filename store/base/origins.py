"""Folders whose files lie elsewhere and come when they are read: the one seam through which readers see them.

Where no such folder is known, as on every project's own disk, all of this is one look at an empty table.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol


class Origin(Protocol):
    """Where the files of a folder lie; they never change. Names are relative to the folder.

    All but `names` and `size` raise `StoreError` where the files cannot be had.
    """

    version: str
    """Tells the folder's content from any other."""

    def names(self, folder: str) -> list[str]:
        """All files below a folder of it, sorted; none where there is no such folder."""

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is no such file."""

    def bring(self, names: Iterable[str]) -> None:
        """Have files whole in the folder, those that lack at once; there being none is no error."""

    async def part(self, name: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` of a file that there is."""


_ORIGINS: Final[dict[Path, Origin]] = {}


def know(folder: Path, origin: Origin) -> None:
    """Let readers of a folder, named by its absolute path, have what lacks from its origin."""
    _ORIGINS[folder] = origin


def origin_of(path: Path) -> tuple[Origin, str] | None:
    """Where a file or folder comes from, and its name there; None of what is just on this disk."""
    if not _ORIGINS:
        return None
    for folder in (path, *path.parents):
        if (origin := _ORIGINS.get(folder)) is not None:
            name = path.relative_to(folder).as_posix()
            return origin, "" if name == "." else name
    return None


def bring(path: Path) -> None:
    """Have a file in its place, if it comes from elsewhere and there is such a file.

    Raises
    ------
    StoreError
        It cannot be had.
    """
    if (found := origin_of(path)) is not None:
        found[0].bring([found[1]])


def bring_named(folder: Path, name: str, *, depth: int) -> None:
    """The same for all files of a name in a folder, and in its folders down to a depth; at once."""
    if (found := origin_of(folder)) is not None:
        origin, top = found
        deepest = top.count("/") + 1 + depth
        paths = [path for path in origin.names(top) if path.count("/") <= deepest]
        origin.bring([path for path in paths if path.rpartition("/")[2] == name])


def listed(folder: Path, ending: str) -> list[Path]:
    """The files of a folder whose names end so, sorted, all in their places; none where there is no folder.

    Raises
    ------
    StoreError
        They come from elsewhere, and cannot be had.
    """
    if (found := origin_of(folder)) is not None:
        origin, top = found
        names = origin.names(top)
        origin.bring([name for name in names if name.rpartition("/")[0] == top and name.endswith(ending)])
    return sorted(folder.glob(f"*{ending}"))


def size_of(path: Path) -> int:
    """Bytes of a file, whether it is in its place yet or not.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    """
    if (found := origin_of(path)) is None:
        return path.stat().st_size
    size = found[0].size(found[1])
    if size is None:
        raise FileNotFoundError(path)
    return size
