"""Where the project's artifacts lie, and small stamps that change when one is made anew."""

import os
import stat
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from store.base.errors import ArtifactMissingError

T = TypeVar("T")


def root() -> Path:
    """Root of the project whose artifacts are shown: ``EMC_ROOT``, else the current folder."""
    return _resolved(os.environ.get("EMC_ROOT", "."), Path.cwd())


@lru_cache(maxsize=4)
def _resolved(folder: str, here: Path) -> Path:
    return (here / folder).resolve()  # a look at every part of the path; pages ask hundreds of times


def profiles() -> list[str]:
    """Profiles that have anything under ``artifacts/``."""
    folder = root() / "artifacts"
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def artifact(profile: str, name: str) -> Path:
    """Path of an artifact of a profile."""
    return root() / "artifacts" / profile / name


def shown(path: Path) -> str:
    """A path as a person would type it at the project's root."""
    return path.relative_to(root()).as_posix() if path.is_relative_to(root()) else str(path)


def stamp(path: Path) -> str:
    """Small key of an artifact's state: changes whenever it is made anew; '' if absent."""
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
    if not key:
        raise ArtifactMissingError(f"{shown(path)} does not exist yet; `dvc repro` makes it.")
    return reader(str(path), key)
