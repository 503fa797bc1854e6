"""Calls of a function on arrays, made by whoever computes units; without models, and nothing is kept."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

from pipeline.items.cache import ItemCache
from pipeline.items.code import QualifiedName, root_of
from pipeline.items.collect import finished
from pipeline.items.executor import Executor
from pipeline.items.units import Unit
from store.base.errors import UserError
from store.base.hashing import PROMPT_HASH_DIGITS, digest
from store.collections.item import Item

if TYPE_CHECKING:
    from pipeline.models.pool import ModelPool

FOLDER: Final = Path(".cache/spread")
"""What calls are given and give while a stage makes them; git-ignored, shared by all workers."""
GIVEN: Final = "given"
MADE: Final = "made"
_NO_WEIGHTS: Final = "none"

Arrays = Mapping[str, np.ndarray]
Call = tuple[Arrays, Mapping[str, Any]]
Function = Callable[[Arrays, Mapping[str, Any]], Arrays]


def on_executor(
    executor: Executor, parent: Path = FOLDER
) -> Callable[[Function, Iterable[Call], str], Iterator[tuple[int, Arrays]]]:
    """A `pipeline.analysis.spreading.Spread` whose calls an executor makes, each a unit of its own.

    Parameters
    ----------
    executor
        Who computes.
    parent
        Folder for what calls are given, which all who compute share: arrays may be large, and are written
        once. What a process has left there that was killed is removed.
    """

    def spread(function: Function, calls: Iterable[Call], label: str) -> Iterator[tuple[int, Arrays]]:
        with _scratch(parent) as folder:
            cache = ItemCache(folder)
            units = [_asked(function, number, call, cache) for number, call in enumerate(calls)]
            failures = executor(units, no_models, cache, label)
            for number, unit in enumerate(units):
                if not failures:
                    item, failures = finished(unit, MADE, unit.item(_NO_WEIGHTS), no_models, cache)
                if failures or item is None:
                    raise UserError(
                        f"{label}: {failures[0].reason if failures else 'something removes its files'}; "
                        "runtime.executor: local in params.yaml computes it in one process."
                    )
                yield number, item.arrays

    return spread


def no_models() -> Any:
    """Nothing is computed with them."""


def make_call(models: "ModelPool", unit: Unit) -> Iterator[tuple[str, Item]]:
    """What the function of a unit gives.

    Raises
    ------
    UserError
        What it is given is not there.
    """
    name, told = unit.item(_NO_WEIGHTS), unit.arguments
    given = ItemCache(Path(told["folder"])).get(GIVEN, name.key)
    if given is None:
        raise UserError(
            f"A worker finds nothing in {told['folder']}, where the pipeline writes what it is to compute; "
            "let all workers share the project's folder, and start them in it."
        )
    function: Function = getattr(import_module(told["module"]), told["name"])
    with threadpool_limits(limits=1, user_api="blas"):  # as in stages, whatever started this process
        made = function(given.arrays, told["told"])
    yield MADE, Item(**asdict(name), arrays=made, scalars={})


def _asked(function: Function, number: int, call: Call, cache: ItemCache) -> Unit:
    """The unit of a call, whose arrays are written."""
    (arrays, told), root, key = call, root_of(function), digest([str(cache.root), number])
    unit = Unit(
        key=key,
        compute=QualifiedName(__name__, make_call.__name__),
        prompt_hash=key[:PROMPT_HASH_DIGITS],
        token_ids=(),
        variants=(_NO_WEIGHTS,),
        arguments={"folder": str(cache.root), "module": root.module, "name": root.name, "told": told},
        outputs=((MADE, _NO_WEIGHTS),),
    )
    cache.put(GIVEN, Item(**asdict(unit.item(_NO_WEIGHTS)), arrays=arrays, scalars={}))
    return unit


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """A folder of this process below another, until the block ends; it is locked before it is there."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.iterdir():
        if left.is_dir():
            with suppress(Timeout), FileLock(left.with_suffix(".lock"), blocking=False):
                _remove(left)
    mine = parent / uuid4().hex
    with FileLock(mine.with_suffix(".lock")):
        try:
            mine.mkdir()
            yield mine
        finally:
            _remove(mine)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_suffix(".lock").unlink(missing_ok=True)
