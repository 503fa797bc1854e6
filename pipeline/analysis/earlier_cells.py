"""Cells of a ranking, a contrast and a domain each, that were tested before on the same values.

One more prompt changes the cells of its own domain and of all domains together; what resampling said of
the others is taken over from the dataset that has it, to the bit.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.scores import feature_key
from pipeline.analysis.spreading import Call
from store.base.errors import StoreError
from store.base.hashing import canonical_json

_COLUMNS: Final = ("low", "high", "n_effective", "sign_consistency", "p", "p_labels", "q")
"""What of a cell is made by resampling, or of that; the rest is made anew, which takes no time."""
_DIGITS: Final = 32


class EarlierCells:
    """One score's cells in an earlier dataset, and what this one's are made of.

    Parameters
    ----------
    code
        Names all beside values and parameters that decides a cell: code, libraries, threads.
    ranking
        The earlier ranking; None: there is none.
    made_of
        What its cells were made of: `made_of` of the `EarlierCells` that it was ranked with.
    """

    def __init__(self, code: str, ranking: xr.Dataset | None, made_of: Mapping[str, str]) -> None:
        self._code = code
        self._ranking = ranking
        self._known = made_of
        self.made_of: dict[str, str] = {}

    def find(self, contrast: str, domain: str, digest: str, keys: np.ndarray) -> dict[str, np.ndarray] | None:
        """What of `pipeline.analysis.cells.statistics_of` is made by resampling; None: not known.

        Parameters
        ----------
        digest
            From `digest`.
        keys
            (feature,) sorted feature keys: rows of the columns that are given.
        """
        name = f"{contrast} {domain}"
        self.made_of[name] = digest
        if self._known.get(name) != digest or (ranking := self._loaded()) is None:
            return None
        cell = tuple(
            ranking[axis].values.tolist().index(at)
            for axis, at in (("contrast", contrast), ("domain", domain))
        )
        earlier = feature_key(ranking["layer"].values, ranking["index"].values)
        rows = np.flatnonzero(np.isin(keys, earlier, assume_unique=True))
        places = np.searchsorted(earlier, keys[rows])
        found = {"stability": ranking["stability"].values[cell].reshape(1)}
        for column in _COLUMNS:
            if column in ranking:
                found[column] = np.full(len(keys), np.nan)
                found[column][rows] = ranking[column].values[cell][places]
        return found

    def _loaded(self) -> xr.Dataset | None:
        """The earlier ranking in memory: a chunk holds every cell, and is decoded for all of them at once."""
        if (ranking := self._ranking) is not None:
            columns = [name for name in (*_COLUMNS, "stability", "layer", "index") if name in ranking]
            try:
                self._ranking = ranking[columns].load()
            except (StoreError, OSError):  # replaced or damaged meanwhile: it is tested again
                self._ranking = None
        return self._ranking

    def digest(self, call: Call, keys: np.ndarray) -> str:
        """What a packed cell is made of: everything that decides a bit of it, and no number of another cell.

        Parameters
        ----------
        call
            From `pipeline.analysis.cells.Cell.packed`.
        keys
            (feature,) feature keys of its columns.
        """
        arrays, told = call
        sha = hashlib.sha256(canonical_json([self._code, told]).encode())
        for name, part in sorted({**arrays, "keys": keys}.items()):
            # How wide an index is follows from the size of what the cell was cut from.
            wide = part.astype(np.int64) if part.dtype.kind == "i" else part
            sha.update(f"{name}{wide.dtype.str}{wide.shape}".encode())
            sha.update(np.ascontiguousarray(wide).tobytes())
        return sha.hexdigest()[:_DIGITS]
