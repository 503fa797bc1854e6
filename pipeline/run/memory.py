"""How a program that allocates the same large arrays over and over gets them quickly."""

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1  # names of parameters in glibc's malloc.h
_MMAP_THRESHOLD: Final = -3
_KEPT: Final = 2**30
"""Bytes: what is smaller comes from the heap, of which so much may be free."""


def keep_freed_memory() -> None:
    """Let this process use freed memory again, where glibc allocates it; elsewhere nothing changes.

    Otherwise every large array is mapped and unmapped, and the system clears its pages each time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT)
        mallopt(_TRIM_THRESHOLD, _KEPT)
