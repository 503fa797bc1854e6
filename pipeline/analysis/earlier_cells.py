"""Cells of a ranking, a contrast and a domain each, that were tested before on the same values.

One more prompt changes the cells of its own domain and of all domains together; what resampling said of
the others is taken over from the dataset that has it, to the bit.
"""

import hashlib
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Final

import numpy as np
import scipy.sparse as sp
import xarray as xr

from pipeline.analysis.contrasts import Contrast
from pipeline.analysis.scores import feature_key
from pipeline.params.features import FeatureParams
from store.base.errors import StoreError
from store.base.hashing import canonical_json

_COLUMNS: Final = ("low", "high", "n_effective", "sign_consistency", "p", "p_labels", "q")
"""What of a cell is made by resampling, or of that; the rest is made anew, which takes no time."""
_DIGITS: Final = 32
_PARAMS: Final = {"permutations", "labellings", "stop_early", "bootstrap", "confidence", "min_situations"}


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
        self._reading = Lock()
        self.made_of: dict[str, str] = {}

    def find(
        self, contrast: str, domain: str, digest: str, keys: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float] | None:
        """What `pipeline.analysis.ranking` makes by resampling, and the order's stability; None: not known.

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
        found = {}
        for column in _COLUMNS:
            if column in ranking:
                found[column] = np.full(len(keys), np.nan)
                found[column][rows] = ranking[column].values[cell][places]
        return found, float(ranking["stability"].values[cell])

    def _loaded(self) -> xr.Dataset | None:
        """The earlier ranking in memory: a chunk holds every cell, and is decoded for all of them at once."""
        with self._reading:
            if (ranking := self._ranking) is not None:
                columns = [name for name in (*_COLUMNS, "stability", "layer", "index") if name in ranking]
                try:
                    self._ranking = ranking[columns].load()
                except (StoreError, OSError):  # replaced or damaged meanwhile: it is tested again
                    self._ranking = None
            return self._ranking

    def digest(
        self,
        contrast: Contrast,
        inside: np.ndarray,
        groups: np.ndarray,
        keys: np.ndarray,
        tested: tuple[np.ndarray, np.ndarray],
        params: FeatureParams,
        seed: Sequence[int],
        step: int,
    ) -> str:
        """What a cell is made of: everything that decides a bit of it, and no number of another cell.

        Parameters
        ----------
        contrast, inside
            Values, and (situation,) bool, which of all situations count.
        groups
            (row,) domain of those with a scored prompt.
        keys
            (feature,) feature keys.
        tested
            Columns that are active, and those of them that are tested.
        params, seed
            Thresholds and resamples.
        step
            Columns of a block.
        """
        active, columns = tested
        rows = np.flatnonzero(inside[contrast.situation])
        sha = hashlib.sha256()
        few = params.model_dump(include=_PARAMS | ({"fdr"} if params.stop_early else set()))
        names = [str(group) for group in groups]
        sha.update(canonical_json([self._code, few, list(seed), min(step, len(active)), names]).encode())
        for part in (keys[active], keys[columns], contrast.n_prompts[rows]):
            _add(sha, part)
        for matrix in (contrast.total, contrast.active):
            _add_sparse(sha, matrix[:, active][rows])
        if (tokens := contrast.tokens) is not None:
            of = np.flatnonzero(inside[tokens.situation[tokens.prompt]])
            labels, unit = np.unique(tokens.unit[of], return_inverse=True)
            prompts, prompt = np.unique(tokens.prompt[of], return_inverse=True)
            situation = np.unique(tokens.situation[prompts], return_inverse=True)[1]
            for part in (unit, prompt, situation, tokens.evil[labels]):
                _add(sha, part)
            sha.update(canonical_json([str(domain) for domain in tokens.domain[labels]]).encode())
            _add_sparse(sha, tokens.effect[of][:, columns])
        return sha.hexdigest()[:_DIGITS]


def _add(sha: "hashlib._Hash", part: np.ndarray) -> None:
    sha.update(f"{part.dtype.str}{part.shape}".encode())
    sha.update(np.ascontiguousarray(part).tobytes())


def _add_sparse(sha: "hashlib._Hash", matrix: sp.sparray) -> None:
    """Every entry, zeros that are stored included, by row and column."""
    rows = sp.csr_array(matrix)
    rows.sort_indices()
    for part in (rows.indptr.astype(np.int64), rows.indices.astype(np.int64), rows.data):
        _add(sha, part)
