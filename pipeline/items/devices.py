"""What a process computes on: a CPU, or one GPU of a kind. Known without torch."""

import importlib.metadata
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, MutableMapping, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from filelock import FileLock, Timeout

from store.base.hashing import digest

CPU: Final = "cpu"
_VISIBLE: Final = "CUDA_VISIBLE_DEVICES"


class Gpu(NamedTuple):
    """A GPU as ``nvidia-smi`` lists it, in the order of the bus."""

    number: str
    uuid: str
    name: str


def device_class() -> str:
    """``cpu``, or the name of the GPU that torch computes on: two of a name give the same bits."""
    seen = visible(gpus(), os.environ)
    return seen[0].name if seen else CPU


@cache
def gpus() -> tuple[Gpu, ...]:
    """NVIDIA's GPUs of this machine; none where torch is built for the CPU alone."""
    program = shutil.which("nvidia-smi")
    if program is None or "+cpu" in importlib.metadata.version("torch"):
        return ()
    asked = [program, "--query-gpu=index,uuid,name", "--format=csv,noheader"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return listed(said.stdout) if said.returncode == 0 else ()


def listed(text: str) -> tuple[Gpu, ...]:
    """The GPUs of a listing, a line each."""
    lines = [line for line in text.splitlines() if line.strip()]
    return tuple(Gpu(*(part.strip() for part in line.split(",", 2))) for line in lines)


def visible(found: Sequence[Gpu], environ: Mapping[str, str]) -> list[Gpu]:
    """Those that ``CUDA_VISIBLE_DEVICES`` leaves, in its order, up to the first that is not there."""
    if _VISIBLE not in environ:
        return list(found)
    seen: list[Gpu] = []
    for name in (part.strip() for part in environ[_VISIBLE].split(",")):
        fitting = [gpu for gpu in found if name == gpu.number or (name and gpu.uuid.startswith(name))]
        if len(fitting) != 1:
            break
        seen += fitting
    return seen


def gpu_of(slot: int, found: Sequence[Gpu]) -> dict[str, str]:
    """The environment under which process number `slot` of a machine sees one GPU of those that are found.

    Processes go around the GPUs; where there is one or none, nothing needs to be said.
    """
    if len(found) < 2:
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", _VISIBLE: found[slot % len(found)].uuid}


_held: list[FileLock] = []
"""The slot of this process, as long as it lives."""


def take_gpu(environ: MutableMapping[str, str] = os.environ, *, first: int = 0) -> None:
    """Let this process, which has not asked for CUDA yet, see one GPU, where there are several.

    As long as there are enough, no other such process sees the same. Slots are locks in the machine's folder
    of temporary files: that of a process that dies ends with it, and who comes in its place takes it.

    Parameters
    ----------
    environ
        Where it is written.
    first
        Slots below are for others.
    """
    found = visible(gpus(), environ)
    if _held or len(found) < 2:
        return
    pool = digest([os.getuid(), [gpu.uuid for gpu in found]])[:16]
    for slot in count(first):
        lock = FileLock(Path(tempfile.gettempdir()) / f"emc-gpu-{pool}-{slot}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        _held.append(lock)
        environ.update(gpu_of(slot, found))
        return
