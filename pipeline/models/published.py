"""Folders of model files, published whole and readable by the team."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from store.base.atomic import published_folder

# How libraries written in Rust end their messages; 122, the quota, is as full as the disk.
_FULL: Final = tuple(f"(os error {code})" for code in (errno.ENOSPC, errno.EDQUOT))


@contextmanager
def published(folder: Path) -> Iterator[Path]:
    """Like `store.base.atomic.published_folder`, for libraries that create private files.

    Raises
    ------
    OSError
        With ``errno.ENOSPC`` also where a library says only in words that the disk is full:
        safetensors raises a class of its own, tokenizers a bare Exception.
    """
    try:
        with published_folder(folder) as aside:
            yield aside
            for path in aside.rglob("*"):
                path.chmod(0o755 if path.is_dir() else 0o644)
    except Exception as error:
        if not any(words in str(error) for words in _FULL):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
