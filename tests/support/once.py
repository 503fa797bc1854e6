"""Made once for a whole run, however many workers share it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one worker makes and every worker reads.

    Parameters
    ----------
    factory
        Gives a folder to each worker of pytest-xdist, below one that they have in common.
    name
        The folder's name; what bears it is made by the same `make` everywhere.
    make
        Fills the folder, which does not exist yet.
    """
    own = factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, whole = common / name, common / f"{name}.whole"
    with FileLock(common / f"{name}.lock"):
        if not whole.exists():
            # What a worker that failed has left.
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            whole.touch()
    return folder
