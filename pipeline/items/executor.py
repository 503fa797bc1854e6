"""Who computes units: this process, with helpers where there is much to do; any number may share a cache.

An executor is a function from units, models and a cache to failures. It computes every unit
that the cache lacks with `compute_unit`, which claims the unit first: of two processes one
computes it and the other finds it in the cache. Each finished item is written before the next
is begun, so an interrupted run resumes where it stopped.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from pipeline.items.cache import ItemCache
from pipeline.items.devices import take_gpu
from pipeline.items.model_source import Models
from pipeline.items.units import ItemName, Unit
from pipeline.run.memory import keep_freed_memory
from pipeline.run.processes import workers
from pipeline.run.progress import counted
from store.base.errors import PromptError
from store.documents.failures import Failure

Executor = Callable[[Sequence[Unit], Models, ItemCache, str], list[Failure]]
"""Computes what the cache lacks of some units; the text names the work in the progress bar."""

WORTH_HELP: Final = 12.0
"""Seconds of work ahead from which on helpers, who take half of it to start, are called.

Where they were called before they are there still, most likely, with their models.
"""


def lacks(cache: ItemCache, unit: Unit, *, now: bool = False) -> list[tuple[str, ItemName]]:
    """Kind and name of the items that are wanted of a unit and not in the cache.

    If not `now`, what another machine put there in the last minute may be among them.
    """
    return [(kind, name) for kind, name in unit.wanted() if not cache.holds(kind, name.key, now=now)]


def in_this_process(units: Sequence[Unit], models: Models, cache: ItemCache, label: str) -> list[Failure]:
    """Compute units one after the other; those that another process has are left for the end."""
    return _compute_all(units, models, cache, label, helpers=0)


def with_helpers(processes: int, worth: float = WORTH_HELP) -> Executor:
    """An executor that calls further processes, up to so many in all, once the work is worth it.

    Parameters
    ----------
    processes
        How many compute at once, this one included.
    worth
        Seconds that the work ahead must take.
    """

    def execute(units: Sequence[Unit], models: Models, cache: ItemCache, label: str) -> list[Failure]:
        return _compute_all(units, models, cache, label, helpers=processes - 1, worth=worth)

    return execute


def _compute_all(
    units: Sequence[Unit],
    models: Models,
    cache: ItemCache,
    label: str,
    *,
    helpers: int,
    worth: float = WORTH_HELP,
) -> list[Failure]:
    missing = [unit for unit in units if lacks(cache, unit)]
    failures: list[Failure] = []
    elsewhere: list[Unit] = []
    with ExitStack() as stack:
        progress = stack.enter_context(counted(len(missing), label))
        if missing:
            models()  # imports and loads, which says nothing of the units
        begun = progress.begun = time.monotonic()
        for done, unit in enumerate(missing):
            if done and helpers and _ahead(begun, done, len(missing) - done) >= worth:
                stack.enter_context(_helpers(helpers, missing[done:], models, cache))
                helpers = 0
            with claim(cache, unit, wait=False) as mine:
                if mine:
                    failures += compute_unit(unit, models, cache)
                else:
                    elsewhere.append(unit)
            elsewhere = [each for each in elsewhere if lacks(cache, each)]
            progress.failed = len(failures)
            progress.update(done + 1 - len(elsewhere) - progress.done)
        for unit in elsewhere:
            with claim(cache, unit, wait=True):
                failures += compute_unit(unit, models, cache)
            progress.failed = len(failures)
            progress.update()
    return failures


def _ahead(begun: float, done: int, left: int) -> float:
    """Seconds that what is left will take."""
    return (time.monotonic() - begun) / done * left


@contextmanager
def _helpers(count: int, units: Sequence[Unit], models: Models, cache: ItemCache) -> Iterator[None]:
    """Further processes that go through the same units; who leaves in a hurry ends them.

    One that fails or dies is not missed: what it leaves is computed here, and what is wrong is told here.
    """
    pool = workers(count)
    called = [
        pool.submit(help_with, os.getpid(), units, models, cache.root, cache.place) for _ in range(count)
    ]
    try:
        yield
        for future in called:
            future.cancel()  # what nobody has begun with is done by now
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise


_kept: list[Models] = []
"""The models that this process was given last, which most likely are those of the next time."""


def loaded_once(models: Models) -> Models:
    """The same models, loaded if those of the last call were."""
    if models not in _kept:
        _kept[:] = [models]
    return _kept[0]


def help_with(whom: int, units: Sequence[Unit], models: Models, root: Path, place: str | None = None) -> None:
    """Compute those of the units that nobody else has begun, while the process `whom` lives.

    Their items go to the cache of that root and place.
    """
    take_gpu(first=1)  # whom it helps has the first
    keep_freed_memory()
    models, cache = loaded_once(models), ItemCache(root, place)
    for unit in units:
        if os.getppid() != whom:
            os._exit(1)  # killed: nobody waits for an answer, or for this process to end
        with claim(cache, unit, wait=False) as mine:
            if mine:
                compute_unit(unit, models, cache)


def compute_unit(unit: Unit, models: Models, cache: ItemCache) -> list[Failure]:
    """Put what is missing of a unit into the cache; a prompt that cannot be computed is told."""
    if not lacks(cache, unit, now=True):
        return []
    try:
        wanted = {(kind, name.key) for kind, name in unit.wanted()}
        for kind, item in unit.run(models()):
            if (kind, item.key) in wanted:
                cache.put(kind, item)
    except PromptError as error:
        position, ids = error.position, unit.token_ids
        failure = Failure(
            prompt_hash=unit.prompt_hash,
            variants=unit.variants,
            settings=unit.settings,
            layer=error.layer,
            position=position,
            token=ids[position] if position is not None and position < len(ids) else None,
            reason=str(error),
        )
        return [failure]
    return []


@contextmanager
def claim(cache: ItemCache, unit: Unit, *, wait: bool) -> Iterator[bool]:
    """Whether the caller may compute a unit; no other process does inside of the block.

    The claim of a process that dies ends with it.

    Parameters
    ----------
    cache, unit
        Where the items go, and what is computed.
    wait
        Whether to wait for another process that has the claim; else False is given.
    """
    path = cache.root / "claims" / f"{unit.key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        # Somebody may wait for the file that goes here while somebody else makes it anew: both
        # then find the items in the cache.
        path.unlink(missing_ok=True)
        lock.release()
