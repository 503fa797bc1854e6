"""Files of a machine's cache, which readers and other programs may open at any time."""

import os
import tempfile
from pathlib import Path

from store.base.atomic import ASIDE
from store.base.errors import StoreError
from store.base.parsing import one_line


def content_of(path: Path, size: int) -> bytes | None:
    """What a file holds that is there whole."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return content if len(content) == size else None


def has(path: Path, size: int) -> bool:
    """Whether a file is there whole: a machine that lost its power may have kept its name alone."""
    try:
        return path.stat().st_size == size
    except (FileNotFoundError, NotADirectoryError):
        return False


def keep(path: Path, content: bytes) -> None:
    """Write a file unless it is there: one that readers have opened stays the same one.

    The disk is not waited for, since what is lost comes again.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=ASIDE)
        aside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            # mkstemp makes files private; other users of the disk read them, too.
            aside.chmod(0o644)
            if has(path, len(content)):
                return
            try:
                path.hardlink_to(aside)
            except OSError:  # it is there, if not whole, or this disk has no hard links
                if not has(path, len(content)):
                    aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise unkept(path.parent, error) from error


def unkept(folder: Path, error: OSError) -> StoreError:
    """What is told where a folder cannot keep what was read."""
    return StoreError(
        f"{folder} cannot keep what was read ({one_line(str(error))}); make room there, or see that it can "
        "be written."
    )
