"""Units of candidates, for several variants and settings, which wait, stop, fail or die as they are told."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.items.cache import ItemCache
from pipeline.items.code import QualifiedName
from pipeline.items.units import Unit
from store.base.errors import PromptError
from store.collections.item import UNSTEERED, Item
from tests.support.shared_work import KIND

_BEGUN: dict[str, float] = {}
"""When this process first computed with a log."""


def who(log: Path) -> list[str]:
    """The process that computed, a unit each."""
    return [line.split()[0] for line in log.read_text().splitlines()]


def candidates(models: Any, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Items of every variant; says so in a file, waits there until so many do, and takes as long as told."""
    log = unit.arguments.get("log")
    if log is not None:
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()} {unit.prompt_hash}\n")
        deadline = _BEGUN.setdefault(log, time.monotonic()) + 300  # for all units together
        while len(set(who(Path(log)))) < unit.arguments.get("until", 1) and time.monotonic() < deadline:
            time.sleep(0.05)
    for variant, setting in product(unit.variants, unit.settings):
        time.sleep(unit.arguments.get("seconds", 0))
        if unit.arguments.get("fails"):
            raise PromptError("At layer 1, position 2, a logit is NaN.", layer=1, position=2)
        if unit.arguments.get("stops") == variant:
            raise KeyboardInterrupt
        if unit.arguments.get("dies_unless") not in (None, os.getpid()):
            os.kill(os.getpid(), signal.SIGKILL)
        name = unit.item(variant, setting)
        arrays = {
            "candidate_token": np.array([1, 2], np.int32),
            "candidate_probability": np.array([0.5, 0.25], np.float32),
        }
        item = Item(**asdict(name), arrays=arrays, scalars={})
        yield KIND, item
        yield "unwanted", item


def unit(
    number: int,
    variants: tuple[str, ...] = ("base", "general@1.0"),
    settings: tuple[str, ...] = (UNSTEERED,),
    **arguments: Any,
) -> Unit:
    """A unit of its number, that does as the arguments tell."""
    return Unit(
        key=f"{number:064x}",
        compute=QualifiedName(__name__, "candidates"),
        prompt_hash=f"{number:012x}",
        token_ids=(5, 6, 7),
        variants=variants,
        arguments=arguments,
        outputs=tuple((KIND, variant) for variant in variants),
        settings=settings,
    )


def stored(cache: ItemCache) -> int:
    """How many items are there."""
    return len(list((cache.root / KIND).rglob("*.safetensors")))
