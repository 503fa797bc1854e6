"""Coroutines awaited by tests that are none."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def awaited(function: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any) -> Result:
    """What a coroutine gives, in a thread: a browser of an earlier test keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(function(*arguments))).result()
