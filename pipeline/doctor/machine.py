"""What this machine has, as it is now."""

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from pipeline.models.free_memory import free_bytes
from pipeline.models.loading import default_device

_SIDE: Final = 768
_SECONDS: Final = 0.2
"""Of timing: a product of two square matrices of that side, again and again."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Device, memory and disk.

    Attributes
    ----------
    device
        Its name.
    on_gpu
        Whether it has memory of its own.
    free_device, free_memory, free_disk
        Bytes.
    cores
        Of the CPU.
    speed
        Multiplications and additions a second, in float32 products of matrices.
    """

    device: str
    on_gpu: bool
    free_device: int
    free_memory: int
    free_disk: int
    cores: int
    speed: float


def this_machine() -> Machine:
    """Look at this machine; takes half a second."""
    device = default_device()
    on_gpu = device.type == "cuda"
    return Machine(
        device=torch.cuda.get_device_name(device) if on_gpu else "CPU",
        on_gpu=on_gpu,
        free_device=free_bytes(device),
        free_memory=free_bytes(torch.device("cpu")),
        free_disk=shutil.disk_usage(Path()).free,
        cores=os.cpu_count() or 1,
        speed=_speed(device),
    )


def _speed(device: torch.device) -> float:
    matrix = torch.ones(_SIDE, _SIDE, device=device)
    float(matrix.mm(matrix)[0, 0])  # starts what is slow to start
    begun, products = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < _SECONDS or not products:
        float(matrix.mm(matrix)[0, 0])  # read, so that a GPU is waited for
        products += 1
    return 2 * _SIDE**3 * products / passed
