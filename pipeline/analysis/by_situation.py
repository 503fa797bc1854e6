"""Effects by situation that are dense only where they are looked at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from xarray.backends import BackendArray
from xarray.core import indexing

from pipeline.analysis.contrasts import Contrast


class BySituation(BackendArray):
    """(contrast, situation, feature) float32: means over a situation's prompts, inactive counting as 0.

    NaN where no prompt is scored. Held are the active features, eight bytes each, and none of the contrasts.

    Parameters
    ----------
    contrasts
        In their order.
    n_situations, n_features
        All situations, and the contrasts' columns.
    """

    def __init__(self, contrasts: Sequence[Contrast], n_situations: int, n_features: int) -> None:
        self.shape = (len(contrasts), n_situations, n_features)
        self.dtype = np.dtype(np.float32)
        self._means = [_means(contrast) for contrast in contrasts]
        self._rows = [contrast.situation for contrast in contrasts]

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[slice | int, ...]) -> np.ndarray:
        parts = [part if isinstance(part, slice) else slice(part, part + 1) for part in key]
        chosen, situations = (np.arange(n)[part] for n, part in zip(self.shape, parts[:2], strict=False))
        width = len(range(self.shape[2])[parts[2]])
        values = np.full((len(chosen), len(situations), width), np.nan, np.float32)
        for place, contrast in enumerate(chosen):
            _, here, there = np.intersect1d(
                situations, self._rows[contrast], assume_unique=True, return_indices=True
            )
            values[place, here] = self._means[contrast][:, parts[2]].toarray()[there]
        found: np.ndarray = values[tuple(slice(None) if isinstance(part, slice) else 0 for part in key)]
        return found


def _means(contrast: Contrast) -> sp.csc_array:
    """`Contrast.values` of all, where there are any."""
    total = contrast.total
    means = (total.data / contrast.n_prompts[total.indices]).astype(np.float32)
    return sp.csc_array((means, total.indices, total.indptr), shape=total.shape)
