"""Who computes units: one process here; any number of them may share a cache.

An executor is a function from units, models and a cache to failures. It computes every unit
that the cache lacks with `compute_unit`, which claims the unit first: of two processes one
computes it and the other finds it in the cache. Each finished item is written before the next
is begun, so an interrupted run resumes where it stopped.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from tqdm import tqdm

from pipeline.items.cache import ItemCache
from pipeline.items.units import Unit
from store.base.errors import PromptError
from store.documents.failures import Failure

if TYPE_CHECKING:
    from pipeline.models.pool import ModelPool

Models = Callable[[], "ModelPool"]
"""Gives the models; called only where there is something to compute, for they import torch."""

Executor = Callable[[Sequence[Unit], Models, ItemCache, str], list[Failure]]
"""Computes what the cache lacks of some units; the text names the work in the progress bar."""


def lacks(cache: ItemCache, unit: Unit) -> list[tuple[str, str]]:
    """Kind and variant of the items that are wanted of a unit and not in the cache."""
    return [
        (kind, variant) for kind, variant in unit.outputs if not cache.holds(kind, unit.item(variant).key)
    ]


def in_this_process(units: Sequence[Unit], models: Models, cache: ItemCache, label: str) -> list[Failure]:
    """Compute units one after the other; those that another process has are left for the end."""
    missing = [unit for unit in units if lacks(cache, unit)]
    failures: list[Failure] = []
    elsewhere: list[Unit] = []
    with tqdm(total=len(missing), desc=label, unit="unit", disable=not missing) as progress:
        for queue, wait in ((missing, False), (elsewhere, True)):
            for unit in queue:
                with claim(cache, unit, wait=wait) as mine:
                    if not mine:
                        elsewhere.append(unit)
                        continue
                    failure = compute_unit(unit, models, cache)
                if failure is not None:
                    failures.append(failure)
                progress.update()
    return failures


def compute_unit(unit: Unit, models: Models, cache: ItemCache) -> Failure | None:
    """Put what is missing of a unit into the cache; a prompt that cannot be computed is told."""
    if not lacks(cache, unit):
        return None
    try:
        for kind, item in unit.run(models()):
            if (kind, item.variant) in unit.outputs:
                cache.put(kind, item)
    except PromptError as error:
        position, ids = error.position, unit.token_ids
        return Failure(
            prompt_hash=unit.prompt_hash,
            variants=unit.variants,
            layer=error.layer,
            position=position,
            token=ids[position] if position is not None and position < len(ids) else None,
            reason=str(error),
        )
    return None


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
