"""Large arrays are written a shard at a time, of values that need not be there as a whole."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from xarray.backends import BackendArray
from xarray.core import indexing

from store.base.errors import DamagedArtifactError
from store.base.hashing import folder_digest
from store.datasets.groups import open_dataset, write_dataset
from store.format.chunks import CHUNK_ELEMENTS, SHARD_ELEMENTS, chunk_shape, shard_shape
from store.schema.features import FEATURES

SHAPE = (2, 300, 700)
DIMS = ("contrast", "situation", "feature")
ONLY = replace(FEATURES, groups={"situations": FEATURES.groups["situations"]})


class Made(BackendArray):
    """Numbers that tell their place, made when they are asked for; `most`: the largest part that was."""

    def __init__(self) -> None:
        self.shape, self.dtype, self.most = SHAPE, np.dtype(np.float32), 0

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, SHAPE, indexing.IndexingSupport.OUTER, self._make)

    def _make(self, key: tuple[Any, ...]) -> np.ndarray:
        axes = np.ix_(*(np.arange(n)[part] for n, part in zip(SHAPE, key, strict=True)))
        values: np.ndarray = (axes[0] * 1e6 + axes[1] * 1e3 + axes[2]).astype(np.float32)
        self.most = max(self.most, values.size)
        return values


def write(folder: Path, effect: xr.Variable) -> Path:
    """FEATURES, of which there are these effects by situation alone."""
    names = {dim: [f"{dim} {i}" for i in range(n)] for dim, n in zip(DIMS[:2], SHAPE[:2], strict=True)}
    words = {dim: (dim, np.array(of, object)) for dim, of in names.items()}
    coordinates = {
        **words,
        "situation_domain": words["situation"],
        "layer": ("feature", np.zeros(SHAPE[2], np.int16)),
        "index": ("feature", np.arange(SHAPE[2], dtype=np.int32)),
    }
    groups = {"situations": xr.Dataset({"effect": effect}, coordinates)}
    write_dataset(folder, ONLY, groups, provenance={})
    return folder


def test_no_more_is_asked_for_than_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.format.chunks.SHARD_ELEMENTS", 2 * CHUNK_ELEMENTS)
    made, whole = Made(), Made()[indexing.BasicIndexer((slice(None),) * 3)]
    lazy = write(tmp_path / "lazy", xr.Variable(DIMS, indexing.LazilyIndexedArray(made)))
    assert 0 < made.most <= 2 * CHUNK_ELEMENTS
    shards = sorted(lazy.glob("situations/effect/c.*"))
    assert len(shards) > 3
    found = open_dataset(lazy, "situations")["effect"]
    np.testing.assert_array_equal(found.values, whole)
    np.testing.assert_array_equal(found[1, 299, ::-7].values, whole[1, 299, ::-7])
    assert folder_digest(lazy) == folder_digest(write(tmp_path / "dense", xr.Variable(DIMS, whole)))
    shards[-1].unlink()
    with pytest.raises(DamagedArtifactError, match="effect"):
        open_dataset(lazy, "situations")["effect"].load()


def test_an_array_of_one_shard_stays_one(tmp_path: Path) -> None:
    lazy = write(tmp_path / "lazy", xr.Variable(DIMS, indexing.LazilyIndexedArray(Made())))
    assert [path.name for path in lazy.glob("situations/effect/c.*")] == ["c.0.0.0"]


@given(st.lists(st.integers(0, 1 << 27), min_size=1, max_size=4))
def test_a_shard_is_of_whole_chunks_and_bounded(lengths: list[int]) -> None:
    chunk = chunk_shape(tuple(lengths))
    shard = shard_shape(tuple(lengths), chunk)
    assert all((s % c == 0 and s > 0) or not n for s, c, n in zip(shard, chunk, lengths, strict=True))
    assert math.prod(shard) <= SHARD_ELEMENTS
    whole = [-(-n // c) * c for n, c in zip(lengths, chunk, strict=True)]
    if math.prod(whole) <= SHARD_ELEMENTS:
        assert list(shard) == whole
    else:
        assert math.prod(shard) > SHARD_ELEMENTS // 4
