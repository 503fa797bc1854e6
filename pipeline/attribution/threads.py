"""How many threads a trace is worth."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.models.replacement import ReplacementModel
from pipeline.run.processes import WIDE


@contextmanager
def fitting_threads(model: ReplacementModel) -> Iterator[None]:
    """One thread for products of small matrices, on the CPU.

    A graph takes thousands of them one after the other; below this width threads wait for
    each other longer than they work, and on a busy machine several times as long.

    Parameters
    ----------
    model
        Whose width and device it depends on.
    """
    before = torch.get_num_threads()
    if torch.device(str(model.cfg.device)).type != "cpu" or model.cfg.d_model >= WIDE or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
