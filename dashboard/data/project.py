"""Where the project's artifacts lie, and small stamps that change when one is made anew."""

import os
import stat
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from dashboard.data import elsewhere
from store.base.errors import ArtifactMissingError
from store.remote.folders import FolderFiles
from store.remote.origins import origin_of

T = TypeVar("T")


def root() -> Path:
    """Root of the project whose artifacts are shown: ``EMC_ROOT``, else the current folder."""
    return _resolved(os.environ.get("EMC_ROOT", "."), Path.cwd())


@lru_cache(maxsize=4)
def _resolved(folder: str, here: Path) -> Path:
    return (here / folder).resolve()  # a look at every part of the path; pages ask hundreds of times


def profiles() -> list[str]:
    """Profiles that have anything under ``artifacts/``, or in the place that ``EMC_ARTIFACTS`` names.

    Raises
    ------
    StoreError
        That place cannot be used.
    """
    place = elsewhere.chosen()
    if place is not None and not isinstance(place, FolderFiles):
        return elsewhere.profiles(place)
    folder = root() / "artifacts" if place is None else place.folder
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def artifact(profile: str, name: str) -> Path:
    """Path of an artifact of a profile; what lies in object storage is there when it is read.

    Raises
    ------
    StoreError
        As for `profiles`; no more once a run of a page has asked.
    """
    place = elsewhere.chosen()
    if place is None:
        return root() / "artifacts" / profile / name
    if isinstance(place, FolderFiles):
        return place.folder.resolve() / profile / name
    return elsewhere.folder(place, profile, root()) / name


def place() -> str | None:
    """The object storage that artifacts are read from; None: they are on this disk."""
    chosen = elsewhere.chosen()
    return None if chosen is None or isinstance(chosen, FolderFiles) else str(chosen)


def shown(path: Path) -> str:
    """A path as a person would type it at the project's root."""
    return path.relative_to(root()).as_posix() if path.is_relative_to(root()) else str(path)


def begin() -> None:
    """Begin a run of a page: until the next one it sees one version of every profile, whatever is pushed."""
    elsewhere.begin()


def stamp(path: Path) -> str:
    """Small key of an artifact's state: changes whenever it is made anew; '' if absent."""
    if (found := origin_of(path)) is not None:
        origin, name = found
        return origin.version if origin.names(name) else ""
    try:
        own = path.stat()
        files = [own]
        if stat.S_ISDIR(own.st_mode):
            with os.scandir(path) as entries:
                files += [entry.stat() for entry in sorted(entries, key=lambda entry: entry.name)]
    except (FileNotFoundError, NotADirectoryError):
        # Absent, or a stage is just replacing it.
        return ""
    return "-".join(f"{f.st_ino:x}.{f.st_mtime_ns:x}.{f.st_size:x}" for f in files)


def made(profile: str, name: str) -> bool:
    """Whether an artifact of a profile is there."""
    return stamp(artifact(profile, name)) != ""


def fresh(path: Path, reader: Callable[[str, str], T]) -> T:
    """Call a cached reader with an artifact's path and stamp.

    `st.cache_data` hashes large arguments by sample, so nothing large is ever an argument of a
    reader: they take a path and its stamp, and are remade when the artifact is.

    Raises
    ------
    ArtifactMissingError
        The artifact is not there (yet, or while its stage runs).
    """
    key = stamp(path)
    if not key and (found := origin_of(path)) is not None:
        raise ArtifactMissingError(
            f"{found[1]} was not pushed to {place()}; `python -m store push` where it is made brings it."
        )
    if not key:
        raise ArtifactMissingError(f"{shown(path)} does not exist yet; `dvc repro` makes it.")
    return reader(str(path), key)
