"""Some arrays of every item in one reading of each partition, against the items one by one."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.base.errors import DamagedArtifactError, NotInStoreError
from store.collections.cutting import side_by_side
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.format.chunks import CHUNK_ELEMENTS
from store.schema.graphs import GRAPHS
from tests.support.random_items import make_item, make_items

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


def test_neighbours_of_a_damaged_item_are_given_and_it_is_named(tmp_path: Path) -> None:
    # Of a chunk's worth of numbers each, so that the damage is one item's; they are read together.
    items = [
        make_item(GRAPHS, name, "base", seed=seed, lengths={"row": CHUNK_ELEMENTS})
        for seed, name in enumerate(("00000000000a", "00000000000b", "00000000000c", "00000000000d"))
    ]
    write_collection(tmp_path / "graphs", GRAPHS, items, provenance={})
    (file,) = (tmp_path / "graphs").glob("*/row_constant/c.0")
    content = bytearray(file.read_bytes())
    content[len(content) * 3 // 8] ^= 1
    file.write_bytes(content)
    found = open_collection(tmp_path / "graphs").each(["row_constant"])
    _, (first,) = next(found)
    np.testing.assert_array_equal(first, items[0].arrays["row_constant"])
    with pytest.raises(DamagedArtifactError, match="00000000000b"):
        next(found)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from([1, 5, 1 << 19, 1 << 21]))),
)
def test_runs_are_of_neighbours_in_one_partition(drawn: list[tuple[str, int, int]]) -> None:
    """Items of a partition, a gap before each, and its length."""
    drawn = sorted(drawn, key=lambda each: each[0])
    partition = np.array([name for name, _, _ in drawn], dtype=object)
    length = np.array([size for _, _, size in drawn], np.int64)
    start = np.cumsum([gap + size for _, gap, size in drawn], dtype=np.int64) - length
    stop = start + length
    runs = list(side_by_side(partition, start[:, None], stop[:, None]))
    assert [row for run in runs for row in run] == list(range(len(drawn)))
    for run in runs:
        rows = np.array(run)
        assert len(set(partition[rows])) == 1
        assert (start[rows[1:]] == stop[rows[:-1]]).all()
        assert len(run) == 1 or length[rows].sum() <= 1 << 20
    for run, following in pairwise(runs):
        last, row = run[-1], following[0]
        apart = partition[last] != partition[row] or stop[last] != start[row]
        assert apart or length[[*run, row]].sum() > 1 << 20, "no shorter than they must be"


def test_who_keeps_an_array_keeps_no_other(tmp_path: Path) -> None:
    write_collection(tmp_path / "graphs", GRAPHS, make_items(GRAPHS, 5), provenance={})
    for item in open_collection(tmp_path / "graphs").items(NAMES):
        assert set(item.arrays) == set(NAMES)
        for array in item.arrays.values():
            held = array if array.base is None else array.base
            assert held.nbytes == array.nbytes


def test_an_array_that_is_not_there_is_told(tmp_path: Path) -> None:
    write_collection(tmp_path / "graphs", GRAPHS, make_items(GRAPHS, 1), provenance={})
    with pytest.raises(NotInStoreError, match="no_such"):
        list(open_collection(tmp_path / "graphs").each(("no_such",)))
