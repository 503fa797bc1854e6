"""Folders whose files lie elsewhere and come when they are read: the one seam through which readers see them.

Where no such folder is known, as on every project's own disk, all of this is one look at an empty table.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Protocol


class Origin(Protocol):
    """Where the files of a folder lie; they never change. Names are relative to the folder.

    What has bytes come raises `StoreError` where they cannot be had.
    """

    @property
    def version(self) -> str:
        """Tells the folder's content from any other."""

    def names(self, folder: str) -> list[str]:
        """All files at or below a folder of it, sorted; none where there is no such folder."""

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is no such file."""

    def bring(self, names: Iterable[str], ahead: Iterable[str] = ()) -> None:
        """Have files whole in the folder, all that lack at once; there being none is no error.

        The smallest of `ahead` come along, and what is wrong with one of them is told when it is read.
        """

    async def part(self, name: str, start: int, stop: int) -> bytes:
        """Bytes `start` to `stop` of a file that there is."""

    def doubt(self, names: Iterable[str]) -> None:
        """Drop what has come of files: a reader finds it damaged, and it may be right when it comes again."""

    def remedy(self, name: str) -> str:
        """The end of a sentence that tells of damage: what mends a file or folder of it."""


_ORIGINS: Final[dict[Path, Origin]] = {}


def know(folder: Path, origin: Origin) -> None:
    """Let readers of a folder, named by its absolute path, have what lacks from its origin."""
    _ORIGINS[folder] = origin


def forget(folder: Path) -> None:
    """Let a folder be what it is on this disk."""
    _ORIGINS.pop(folder, None)


def origin_of(path: Path) -> tuple[Origin, str] | None:
    """Where a file or folder comes from, and its name there; None of what is just on this disk."""
    if not _ORIGINS:
        return None
    for folder in (path, *path.parents):
        if (origin := _ORIGINS.get(folder)) is not None:
            name = path.relative_to(folder).as_posix()
            return origin, "" if name == "." else name
    return None


def bring(path: Path, *, beside: str | None = None, ahead: str | None = None) -> None:
    """Have a file in its place, if it comes from elsewhere and there is such a file.

    Parameters
    ----------
    path
        The file.
    beside
        A folder at the top of the origin, whose files come along; so do small files at the top itself.
    ahead
        A folder next to the file that is read after it: what is small in it comes along.

    Raises
    ------
    StoreError
        It cannot be had.
    """
    if (found := origin_of(path)) is not None:
        origin, name = found
        along = [top for top in origin.names("") if "/" not in top] if beside else []
        if ahead:
            along += origin.names(PurePosixPath(name).with_name(ahead).as_posix())
        origin.bring([name, *(origin.names(beside) if beside else ())], along)


def bring_named(folder: Path, name: str) -> None:
    """Have a folder's file of a name in its place, and those of folders in it; errors as of `bring`."""
    if (found := origin_of(folder)) is not None:
        origin, top = found
        ends = {
            top,
            *(path.rpartition("/")[0] for path in origin.names(top) if path.count("/") == top.count("/") + 2),
        }
        origin.bring(f"{end}/{name}" for end in ends)


def bring_like(path: Path) -> None:
    """Have the small files in their places that are called as a file is, in folders beside its own.

    Errors as of `bring_arrays`.
    """
    if not path.is_file() and (found := origin_of(path)) is not None:
        origin, name = found
        own, _, last = name.rpartition("/")
        beside = origin.names(own.rpartition("/")[0])
        depth = name.count("/")
        origin.bring((), [each for each in beside if each.count("/") == depth and each.endswith(f"/{last}")])


def bring_arrays(folder: Path, groups: Iterable[str], names: Sequence[str]) -> None:
    """Have what is small of some files and folders of each of a folder's groups in its place.

    Raises
    ------
    StoreError
        The service refuses; what is wrong with one file is told when it is read.
    """
    if (found := origin_of(folder)) is not None:
        origin, top = found
        below = [PurePosixPath(top, group, name).as_posix() for group in groups for name in names]
        origin.bring((), [each for name in below for each in origin.names(name)])


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
        origin.bring(name for name in names if name.rpartition("/")[0] == top and name.endswith(ending))
    return sorted(folder.glob(f"*{ending}"))


def remedy(path: Path, here: str, *, beside: str | None = None) -> str:
    """What mends a file or folder that is found damaged, for the end of a sentence that tells it.

    What has come of it from elsewhere is dropped, so that the next who reads it has it anew.

    Parameters
    ----------
    path
        The file or folder.
    here
        The remedy of what is just on this disk.
    beside
        A folder at the top of the origin that is dropped, too.
    """
    if (found := origin_of(path)) is None:
        return here
    origin, name = found
    origin.doubt([*origin.names(name), *(origin.names(beside) if beside else ())])
    return origin.remedy(name)


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
