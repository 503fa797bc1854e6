"""What a previous collection holds is taken over: copied where it stays, and the same to the byte."""

from dataclasses import replace

import pytest

from store import InvalidItemError, open_collection, write_collection
from store.base.hashing import folder_digest
from store.collections.reader import Collection
from store.collections.writer import partition_bits, partition_of
from store.schema.candidates import CANDIDATES
from store.schema.registry import COLLECTIONS
from tests.support.random_items import make_item, make_items


@pytest.mark.parametrize("schema", COLLECTIONS.values(), ids=COLLECTIONS)
def test_what_a_previous_collection_holds_is_taken_from_there(tmp_path, schema) -> None:
    """One more prompt, one less, one made anew: the same bytes as without a previous collection."""
    old = make_items(schema, 40)
    again = make_item(schema, old[2].prompt_hash, "base", seed=99)
    new = [*old[4:], again, make_item(schema, "0123456789ab", "base", seed=98)]
    write_collection(tmp_path / "old", schema, old, provenance={})
    write_collection(tmp_path / "afresh", schema, new, provenance={})
    previous = open_collection(tmp_path / "old")
    # Items that are there need no arrays of their own.
    known = {item.key for item in old}
    given = [replace(item, arrays={}) if item.key in known else item for item in new]
    write_collection(tmp_path / "new", schema, given, provenance={}, previous=previous)
    assert folder_digest(tmp_path / "new") == folder_digest(tmp_path / "afresh")


def test_partitions_that_stay_are_copied_and_not_read(tmp_path, monkeypatch) -> None:
    items = make_items(CANDIDATES, 40)
    write_collection(tmp_path / "old", CANDIDATES, items, provenance={})
    more = make_item(CANDIDATES, "0123456789ab", "base", seed=98)
    read, plainly = [], Collection._read

    def counted(self, rows, names):
        read.extend(self._identities[row][0] for row in rows)
        return plainly(self, rows, names)

    monkeypatch.setattr(Collection, "_read", counted)
    previous = open_collection(tmp_path / "old")
    write_collection(tmp_path / "new", CANDIDATES, [*items, more], provenance={}, previous=previous)
    bits = partition_bits(41)
    assert {partition_of(prompt, bits) for prompt in read} == {partition_of("0123456789ab", bits)}


def test_partitions_described_otherwise_are_written_anew(tmp_path) -> None:
    items = make_items(CANDIDATES, 3)
    write_collection(tmp_path / "afresh", CANDIDATES, items, provenance={})
    token = CANDIDATES.arrays["candidate_token"]
    for change in ({"meaning": "as it was once called"}, {"unit": "number"}):
        other = replace(CANDIDATES, arrays={**CANDIDATES.arrays, "candidate_token": replace(token, **change)})
        write_collection(tmp_path / "old", other, items, provenance={})
        previous = open_collection(tmp_path / "old")
        write_collection(tmp_path / "new", CANDIDATES, items, provenance={}, previous=previous)
        assert folder_digest(tmp_path / "new") == folder_digest(tmp_path / "afresh")


def test_an_item_comes_once_whatever_holds_it(tmp_path) -> None:
    items = make_items(CANDIDATES, 2)
    write_collection(tmp_path / "old", CANDIDATES, items, provenance={})
    previous = open_collection(tmp_path / "old")
    other = make_item(CANDIDATES, items[0].prompt_hash, items[0].variant, seed=99)
    for pair in ([items[0], items[0]], [items[0], other], [other, items[0]]):
        with pytest.raises(InvalidItemError, match="comes twice"):
            write_collection(tmp_path / "new", CANDIDATES, pair, provenance={}, previous=previous)


@pytest.mark.parametrize("what", ["altered", "missing", "manifest"])
def test_a_collection_is_whole_or_not(tmp_path, what) -> None:
    write_collection(tmp_path / "c", CANDIDATES, make_items(CANDIDATES, 3), provenance={})
    assert open_collection(tmp_path / "c").artifact.is_whole()
    collection = open_collection(tmp_path / "c")
    (chunk, *_) = sorted((tmp_path / "c").glob("*/candidate_token/c*"))
    if what == "missing":
        chunk.unlink()
    elif what == "altered":
        chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    else:
        (chunk.parent.parent / "zarr.json").write_text("{}")
    assert not collection.artifact.is_whole()
