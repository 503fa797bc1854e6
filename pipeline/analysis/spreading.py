"""Calls of a function that read nothing but what they are given, and who makes them."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from typing import Any, Final

import numpy as np

Arrays = Mapping[str, np.ndarray]
Call = tuple[Arrays, Mapping[str, Any]]
"""What a function is given: arrays by name, and what can be written as JSON. Another process reads both."""
Function = Callable[[Arrays, Mapping[str, Any]], Arrays]
"""A pure function at the top of a module; what it gives has a dimension at least."""
Spread = Callable[[Function, Iterable[Call], str], Iterator[tuple[int, Arrays]]]
"""Makes the calls: their number and what came of them, in any order. The text names the work."""

# Calls at a time; each takes blocks of some 32 MB, and a few copies of them.
_AT_ONCE: Final = 4


def in_threads(function: Function, calls: Iterable[Call], label: str) -> Iterator[tuple[int, Arrays]]:
    """A `Spread` over threads of this process: NumPy lets go of the interpreter.

    Calls are asked for as threads become free, so that few are there at a time.
    """
    count = min(_AT_ONCE, os.cpu_count() or 1)
    asked: dict[Future[Arrays], int] = {}
    with ThreadPoolExecutor(count, thread_name_prefix=label) as pool:
        for number, call in enumerate(calls):
            asked[pool.submit(function, *call)] = number
            if len(asked) > count:
                for future in wait(asked, return_when=FIRST_COMPLETED).done:
                    yield asked.pop(future), future.result()
        for future in as_completed(asked):
            yield asked[future], future.result()
