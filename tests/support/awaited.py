"""Coroutines awaited by tests that are none."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from zarr.core.sync import sync

Result = TypeVar("Result")


def awaited(function: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any) -> Result:
    """What a coroutine gives in Zarr's event loop, as when arrays are read.

    One of a test's own will not do: a browser of an earlier test keeps an event loop in this thread.
    """
    return sync(function(*arguments))
