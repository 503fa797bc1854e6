"""What of a dataset stays in memory: small arrays whole, and where each feature stands; no Streamlit here."""

from typing import Final

import numpy as np
import xarray as xr

_BLOCK: Final = 1 << 16
"""Features of one reading; of a thousand situations they take 262 MB."""
_SMALL: Final = 1 << 18
"""Bytes up to which an array is read whole, once."""


def with_small_arrays(table: xr.Dataset) -> xr.Dataset:
    """The dataset with what is small in memory, not to be written to; what is large is still read when used.

    A page asks for hundreds of small arrays at every click, and each is a trip to Zarr of two milliseconds.
    """
    small = [name for name, array in table.data_vars.items() if array.nbytes <= _SMALL]
    table[small].load()
    for name in small:
        table[name].values.flags.writeable = False  # all sessions have the same one
    return table


def columns_of(table: xr.DataArray, rows: np.ndarray) -> np.ndarray:
    """Some features of a table that is not held as a whole: it is read a block of features at a time.

    Parameters
    ----------
    table
        (situation, feature).
    rows
        (row,) int, positions along ``feature``, in any order.

    Returns
    -------
    numpy.ndarray
        (situation, row) of the table's dtype.
    """
    found = np.empty((table.shape[0], len(rows)), table.dtype)
    block = rows // _BLOCK
    for each in np.unique(block):
        start = int(each) * _BLOCK
        here = block == each
        found[:, here] = table[:, start : start + _BLOCK].values[:, rows[here] - start]
    return found


class FeatureRows:
    """Where features stand along a dataset's ``feature``, found by bisection.

    Parameters
    ----------
    layer, index
        Of the features; int (feature,), in any order.
    """

    def __init__(self, layer: np.ndarray, index: np.ndarray) -> None:
        keys = layer.astype(np.int64) << 32 | index.astype(np.int64)
        # The store writes them in order, so that millions need no second array.
        self._order = None if bool((keys[1:] > keys[:-1]).all()) else np.argsort(keys, kind="stable")
        self._keys = keys if self._order is None else keys[self._order]
        self.layers: list[int] = np.unique(layer).tolist()
        """Layers that have any, ascending."""

    def row(self, layer: int, index: int) -> int | None:
        """Position of a feature, the first where it stands twice; None if it is not there."""
        key = layer << 32 | index
        place = int(np.searchsorted(self._keys, key))
        if place == len(self._keys) or self._keys[place] != key:
            return None
        return place if self._order is None else int(self._order[place])
