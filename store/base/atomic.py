"""One way to write: aside first, then renamed into place, so readers never see half."""

import ctypes
import errno
import fcntl
import filecmp
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ASIDE: Final = ".aside"
"""Ending of what is not whole yet; ``.dvcignore`` names it, too."""

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically and durably; an interrupted write leaves the old content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=ASIDE)
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; artifacts are for the team.
        aside.chmod(0o644)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


@contextmanager
def published_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path` when the block succeeds.

    Writers never mix: each fills a folder of its own, and the last to finish wins whole.
    What was at `path` stays until then, and for good if the block fails, or if the new one is
    the same to the byte: of programs that make the same at once, none takes away what another
    has just opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path), suffix=ASIDE))
    try:
        aside.chmod(0o755)
        yield aside
        with locked(path.parent):
            if not _same(aside, path):
                _put_in_place(aside, path)
    finally:
        # What was replaced, or what was not finished.
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def snapshot(path: Path, root: Path) -> Iterator[Path]:
    """Yield a copy of a folder below `root`, of links where it can be: whatever replaces the folder.

    Raises
    ------
    FileNotFoundError
        There is no such folder, or it was replaced or removed meanwhile.
    """
    root.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(root / path.name)
    aside = Path(tempfile.mkdtemp(dir=root, prefix=_prefix(path), suffix=ASIDE))
    try:
        try:
            copied = Path(shutil.copytree(path, aside / path.name, copy_function=link))
        except shutil.Error as error:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
        yield copied
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def link(one: str, other: str) -> None:
    """Give a file another name, or copy it where that cannot be: nothing that is published is edited."""
    try:
        os.link(one, other)
    except OSError:  # another disk, or one without links; or the file is gone, which copying tells
        shutil.copy2(one, other)


def _same(one: Path, other: Path) -> bool:
    """Whether two folders are there and hold the same files, to the byte."""
    try:
        sizes = _sizes(one)
        return (
            other.is_dir()
            and sizes == _sizes(other)
            and all(filecmp.cmp(one / name, other / name, shallow=False) for name in sizes)
        )
    except FileNotFoundError:  # DVC removes it
        return False


def _sizes(folder: Path) -> dict[Path, int]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.stat().st_size for path in files}


def _put_in_place(aside: Path, path: Path) -> None:
    """Rename `aside` to `path`; what was at `path` is at or below `aside` afterwards."""
    if not path.exists():
        aside.replace(path)
    elif not _exchange(aside, path):
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path), suffix=ASIDE))
        path.replace(old / path.name)
        aside.replace(path)
        shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step, so that none is absent at any time; False if it cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # not Linux with glibc 2.28 or musl 1.2.5
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:  # a file system that cannot
        return False
    raise OSError(code, os.strerror(code), str(other))


def _prefix(path: Path) -> str:
    """Names the writer, so that what a dead one left can be told from a live one's."""
    return f".{path.name}.{platform.node()}.{os.getpid()}."


def _remove_abandoned(path: Path) -> None:
    """Remove what writers of `path` left that were killed on this machine."""
    mine = re.compile(rf"\.{re.escape(f'{path.name}.{platform.node()}')}\.(\d+)\..*{re.escape(ASIDE)}")
    for aside in path.parent.iterdir():
        match = mine.fullmatch(aside.name)
        if match is None or _is_running(int(match[1])):
            continue
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, but alive
        return True
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder itself: one writer at a time renames, and no lock file stays."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
