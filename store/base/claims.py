"""A folder that one program at a time works in; its claim ends with the program, however that ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOOKS: Final = 10
"""Who only looks whether a folder is claimed has it for a moment: so often it is tried, ..."""
_APART: Final = 0.02
"""... so many seconds apart."""


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether the caller has the folder for itself while the block runs; False: another program has it."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        mine = _locks(handle, fcntl.LOCK_EX)
        for _ in range(_LOOKS):
            if mine:
                break
            time.sleep(_APART)
            mine = _locks(handle, fcntl.LOCK_EX)
        yield mine
    finally:
        os.close(handle)


def is_claimed(folder: Path) -> bool:
    """Whether some program has the folder for itself now."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _locks(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _locks(handle: int, how: int) -> bool:
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
