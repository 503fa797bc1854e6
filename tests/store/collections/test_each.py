"""Some arrays of every item in one reading of each partition, against the items one by one."""

from pathlib import Path

import numpy as np
import pytest

from store.base.errors import DamagedArtifactError, NotInStoreError
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.schema.graphs import GRAPHS
from tests.support.random_items import make_items

NAMES = ("target_probability", "direct", "token")
"""Two that lie along dims of their own, and one with two dims."""


def test_it_gives_what_items_give(tmp_path: Path) -> None:
    items = make_items(GRAPHS, 20)
    write_collection(tmp_path / "graphs", GRAPHS, items, provenance={})
    stored = open_collection(tmp_path / "graphs")
    found = dict(stored.each(NAMES))
    assert list(found) == sorted(item.identity for item in items)
    for item in items:
        for name, array in zip(NAMES, found[item.identity], strict=True):
            assert array.shape == item.arrays[name].shape
            np.testing.assert_array_equal(array, item.arrays[name])


def test_a_damaged_partition_is_told(tmp_path: Path) -> None:
    write_collection(tmp_path / "graphs", GRAPHS, make_items(GRAPHS, 2), provenance={})
    chunk = next((tmp_path / "graphs").glob("*/target_probability/c.0"))
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(DamagedArtifactError):
        list(open_collection(tmp_path / "graphs").each(NAMES))


def test_an_array_that_is_not_there_is_told(tmp_path: Path) -> None:
    write_collection(tmp_path / "graphs", GRAPHS, make_items(GRAPHS, 1), provenance={})
    with pytest.raises(NotInStoreError, match="no_such"):
        list(open_collection(tmp_path / "graphs").each(("no_such",)))
