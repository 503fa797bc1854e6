"""Arrays on disk inside an `xarray.Dataset`, read with the store's checks when used."""

from typing import Any

import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from store.format.arrays import ArrayReader
from store.format.artifact import Artifact


class LazyArray(BackendArray):
    """An `ArrayReader` as xarray's lazy indexing wants it."""

    def __init__(self, reader: ArrayReader, artifact: Artifact) -> None:
        self.shape = reader.shape
        self.dtype = reader.dtype
        self._reader = reader
        self._artifact = artifact

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[slice | int, ...]) -> np.ndarray:
        (values,) = self._artifact.read([(self._reader, key)])
        return values
