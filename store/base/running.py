"""``.cache/running/<host>.<process>.json``: what a stage is at while it runs, for pages; no result is in it.

The process that runs the stage writes the file again and again, and removes it as it ends. One that is
there all the same is of a process that was killed, or of another machine: `ended` tells of this machine's.
"""

import platform
from pathlib import Path
from typing import Annotated, Final

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.base.atomic import ASIDE

FOLDER: Final = Path(".cache/running")
"""Below the project's root; git-ignored, safe to delete."""

_GRACE: Final = 2.0
"""Seconds by which two clocks of one machine may differ."""
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Amount = Annotated[int, Field(ge=0)]
_Word = Annotated[str, Field(max_length=1000)]


class Running(BaseModel):
    """What one process is at.

    Attributes
    ----------
    profile, stage
        Which stage of which profile.
    host, process
        Who runs it: a machine's name, and a process's number there.
    told
        When this was written, in seconds since 1970 by that machine's clock.
    seconds
        For how long the stage has run.
    units
        What is counted now; empty: nothing is.
    total, done, failed
        How many there are, how many of them are over, and how many of those could not be computed.
    counted
        Seconds since the first of them was begun.
    page
        Address of the page of the engine that computes them; empty where it has none.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    profile: _Word
    stage: _Word
    host: _Word
    process: Annotated[int, Field(ge=1)]
    told: _Seconds
    seconds: _Seconds = 0.0
    units: _Word = ""
    total: _Amount = 0
    done: _Amount = 0
    failed: _Amount = 0
    counted: _Seconds = 0.0
    page: _Word = ""


def write_running(root: Path, one: Running) -> None:
    """Say what a process is at, in place of what it said before, so that readers never see half.

    Unlike artifacts it need not be on the disk: nobody waits for one, and after a crash it is worth nothing.
    """
    path = _path(root, one)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(ASIDE)  # no other process has that name
    aside.write_text(one.model_dump_json(), encoding="utf-8")
    aside.replace(path)


def remove_running(root: Path, one: Running) -> None:
    """Forget a process, and what it was writing when it was killed."""
    path = _path(root, one)
    path.unlink(missing_ok=True)
    path.with_suffix(ASIDE).unlink(missing_ok=True)


def read_running(root: Path) -> list[Running]:
    """What processes of a project said last, by profile and stage; what cannot be read is left out."""
    found = []
    for path in (root / FOLDER).glob("*.json"):
        try:
            found.append(Running.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):  # it has just ended; or other code wrote it, or a hand
            continue
    return sorted(found, key=lambda one: (one.profile, one.stage, one.host, one.process))


def ended(one: Running) -> bool:
    """Whether a process is known to be gone, which can be known on its own machine only.

    One of its number that was begun after its last word is another.
    """
    if one.host != platform.node():
        return False
    try:
        begun: float = psutil.Process(one.process).create_time()
    except psutil.NoSuchProcess:
        return True
    return begun > one.told + _GRACE


def _path(root: Path, one: Running) -> Path:
    return root / FOLDER / f"{one.host}.{one.process}.json"
