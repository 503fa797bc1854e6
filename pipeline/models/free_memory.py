"""How much memory a device has left: for what may lie there whole, or be read piece by piece."""

from pathlib import Path
from typing import Final

import psutil
import torch

_GROUP: Final = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use; its system tells of the whole machine."""


def free_bytes(device: torch.device) -> int:
    """Bytes that can be had on a device now without swapping: of a GPU its own memory, else the machine's."""
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    free = int(psutil.virtual_memory().available)
    try:
        limit, used = (int((_GROUP / name).read_text("ascii")) for name in ("memory.max", "memory.current"))
        return min(free, limit - used)
    except (OSError, ValueError):  # no container, or one without a limit
        return free
