"""Calls of a function on arrays that say who makes them, and wait, fail or die as they are told."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.analysis.spreading import Arrays, Call


def sums(arrays: Arrays, told: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Running sums; with an `until`, when so many processes have begun, or after a minute."""
    if "log" in told:
        log = Path(told["log"])
        with log.open("a") as file:
            file.write(f"{os.getpid()} {told['number']}\n")
        deadline = time.monotonic() + 60
        while len({pid for pid, _ in who_summed(log)}) < told.get("until", 1) and time.monotonic() < deadline:
            time.sleep(0.02)
    if "dies_once" in told and not Path(told["dies_once"]).exists():
        Path(told["dies_once"]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if told.get("broken"):
        raise ZeroDivisionError("division by zero")
    return {"sum": np.cumsum(arrays["x"]), "none": np.empty((0, 2)), "flags": arrays["x"] > 1}


def sums_of(count: int, log: Path | None = None, **told: Any) -> Iterator[Call]:
    """So many calls, each on arrays of its own."""
    for number in range(count):
        said = {} if log is None else {"log": str(log), "number": number}
        yield {"x": np.arange(number, number + 3.0)}, {**said, **told}


def who_summed(log: Path) -> list[tuple[int, int]]:
    """Process and number of each call that was begun."""
    return [(int(pid), int(number)) for pid, number in map(str.split, log.read_text().splitlines())]
