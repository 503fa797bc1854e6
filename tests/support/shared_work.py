"""Units without models, for tests of who computes: they do as they are told."""

import os
import signal
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.items.cache import ItemCache
from pipeline.items.code import QualifiedName
from pipeline.items.units import Unit
from store.base.errors import PromptError, UserError
from store.collections.item import Item
from store.schema.candidates import CANDIDATES

KIND = CANDIDATES.kind
VARIANTS = ("base", "general@1.0")


def no_models() -> Any:
    """Nothing is needed of them; importing them would load torch in every process."""


def compute(models: Any, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Items whose numbers follow from the prompt; says in a file who computes, and does as it is told.

    With a `gate` it waits until there is that file.
    """
    told = unit.arguments
    if "log" in told:
        with Path(told["log"]).open("a") as file:
            file.write(f"{os.getpid()} {unit.key}\n")
    if "gate" in told:
        deadline = time.monotonic() + 300
        while not Path(told["gate"]).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    time.sleep(told.get("seconds", 0))
    if told.get("unable"):
        raise PromptError("At layer 1, position 2, a logit is NaN.", layer=1, position=2)
    if told.get("broken"):
        raise ZeroDivisionError("division\nby zero")
    if told.get("wrong"):
        raise UserError("The weights do not fit.")
    if told.get("full"):
        raise OSError(28, "No space left on device")
    if told.get("dies"):
        os.kill(os.getpid(), signal.SIGKILL)
    number = int(unit.key[-12:], 16)
    for variant, setting in product(unit.variants, unit.settings):
        name = unit.item(variant, setting)
        arrays = {
            "candidate_token": np.arange(number, number + 3, dtype=np.int32),
            "candidate_probability": np.array([0.5, 0.25, 0.125], np.float32),
        }
        yield (
            KIND,
            Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=arrays, scalars={}),
        )


def shared_unit(number: int, prompt: int | None = None, **told: Any) -> Unit:
    """A unit of a prompt, of its own if none is said."""
    return Unit(
        key=f"{number:064x}",
        compute=QualifiedName(__name__, "compute"),
        prompt_hash=f"{number if prompt is None else prompt:012x}",
        token_ids=(5, 6, 7),
        variants=VARIANTS,
        arguments=told,
        outputs=tuple((KIND, variant) for variant in VARIANTS),
    )


def who_computed(log: Path) -> list[tuple[int, int]]:
    """Process and number of each unit that was begun, in order."""
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [(int(pid), int(key, 16)) for pid, key in lines]


def files_of(cache: ItemCache) -> dict[str, bytes]:
    """What lies in a cache, by path."""
    found = cache.root.rglob("*.safetensors")
    return {path.relative_to(cache.root).as_posix(): path.read_bytes() for path in found}
