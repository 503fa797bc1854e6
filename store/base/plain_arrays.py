"""xarray without the arrays of Dask and of `sparse`, which no stage and no page makes."""

import sys
from functools import cache
from typing import Final

FOREIGN: Final = ("dask", "sparse")


@cache
def only_plain_arrays() -> None:
    """Let xarray look for foreign arrays now and find none, but for those that are imported already.

    It looks once, when it first wraps an array or makes a table, and imports all of ``dask.array`` and
    ``sparse`` (with numba) to know their types: half a second of every stage, and of a page's first run.
    Who imports them later gets them; xarray takes their arrays for strangers then.
    """
    import xarray as xr

    hidden = [name for name in FOREIGN if name not in sys.modules]
    # None says that there is no such module.
    sys.modules |= dict.fromkeys(hidden)  # type: ignore[arg-type]
    try:
        xr.Dataset({"value": ("row", [0])}).to_dataframe()
    finally:
        for name in hidden:
            sys.modules.pop(name, None)  # another session may have been here
