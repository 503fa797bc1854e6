"""What a worker of a cluster does: it computes units of one prompt with models that it loads once."""

import errno
import hashlib
import platform
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.items.cache import ItemCache
from pipeline.items.closure import PACKAGES, ROOT, library_versions
from pipeline.items.devices import device_class, take_gpu
from pipeline.items.executor import claim, compute_unit, lacks, loaded_once
from pipeline.items.model_source import Models
from pipeline.items.units import Unit
from pipeline.run.memory import keep_freed_memory
from store.base.errors import StoreError, UserError
from store.documents.failures import Failure


class Installed(NamedTuple):
    """What has to be the same wherever units of one run are computed."""

    code: str
    libraries: dict[str, str]
    python: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """Units of one prompt, and what is needed to compute them.

    Attributes
    ----------
    units, models
        What is computed, with what; a worker keeps the models of its last job.
    root
        Folder of the item cache, which all share; relative to the project's root, or absolute.
    place
        Where items lie instead, in object storage.
    installed
        What asks.
    device
        Class of the device whose results are wanted; None: any.
    """

    units: tuple[Unit, ...]
    models: Models
    root: Path
    place: str | None = None
    installed: Installed
    device: str | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job: prompts that cannot be computed, and by a unit's key what else went wrong, once."""

    failures: list[Failure] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)


def _sources() -> str:
    """Digest of this project's code as it lies on the disk."""
    sha = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            sha.update(f"{path.relative_to(ROOT).as_posix()}\n".encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()


STARTED: Final = _sources()
"""The code when this process loaded this module: what it imports is of then, whatever lies there later."""


def installed() -> Installed:
    """What this process runs."""
    return Installed(code=STARTED, libraries=library_versions(), python=platform.python_version())


def refusal(job: Job, threads: int = 1) -> str | None:
    """Why this process, a worker of so many threads, must not compute a job: one sentence, or None."""
    mine, wanted = installed(), job.installed
    who = f"A worker on {platform.node()}"
    again = "start it again in the same checkout and environment as the pipeline."
    if mine.code != wanted.code:
        return f"{who} runs another version of this project's code; {again}"
    here, there = ({"python": each.python, **each.libraries} for each in (mine, wanted))
    if others := sorted(name for name in here | there if here.get(name) != there.get(name)):
        name = others[0]
        return f"{who} has {name} {here.get(name)}, where the pipeline has {there.get(name)}; {again}"
    if threads != 1:
        return f"{who} has {threads} threads, but models serve one at a time; start it with --nthreads 1."
    if job.device not in (None, device := device_class()):
        return (
            f"{who} computes on '{device}', but results of '{job.device}' are asked for; set "
            f"runtime.device to the one that is wanted, or runtime.mix: true to mix them."
        )
    return None


def work(job: Job) -> Outcome:
    """Compute what the cache lacks of a job; what another process has begun is waited for at the end.

    Raises
    ------
    UserError
        This worker must not compute it, its disk is full, or what is wrong is no matter of one prompt.
    """
    from distributed import get_worker

    take_gpu()
    if (why := refusal(job, get_worker().state.nthreads)) is not None:
        raise UserError(why)
    keep_freed_memory()
    models, cache, outcome = loaded_once(job.models), ItemCache(job.root, job.place), Outcome()
    for unit in _claimed(job.units, cache):
        try:
            outcome.failures.extend(compute_unit(unit, models, cache))
        except (UserError, StoreError):
            raise
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise UserError(
                    f"The disk of a worker on {platform.node()} is full; free some space and run again, "
                    "what was finished is kept."
                ) from error
            outcome.errors[unit.key] = told(error)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is told, and the others go on
            outcome.errors[unit.key] = told(error)
    return outcome


def told(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _claimed(units: tuple[Unit, ...], cache: ItemCache) -> Iterator[Unit]:
    """Units one by one, each claimed while it is worked on; those that others have come last."""
    elsewhere: list[Unit] = []
    for unit in units:
        with ExitStack() as stack:
            if stack.enter_context(claim(cache, unit, wait=False)):
                yield unit
            else:
                elsewhere.append(unit)
    for unit in elsewhere:
        if lacks(cache, unit, now=True):
            with claim(cache, unit, wait=True):
                yield unit
