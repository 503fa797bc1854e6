"""Collections: a real one driven beside a dict, byte-stable, partitioned, readable plainly."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from store import (
    InvalidItemError,
    NotInStoreError,
    UnknownFormatError,
    open_collection,
    open_dataset,
    read_provenance,
    write_collection,
)
from store.base.errors import ArtifactMissingError, DamagedArtifactError
from store.base.hashing import digest, file_digest, folder_digest
from store.collections.item import UNSTEERED, Identity, Item
from store.collections.writer import partition_bits, partition_of
from store.format.chunks import CHUNK_ELEMENTS
from store.schema.activations import ACTIVATIONS
from store.schema.candidates import CANDIDATES
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from store.schema.registry import COLLECTIONS
from store.schema.samples import SAMPLES
from store.schema.specs import FORMAT_VERSION
from tests.support.random_items import make_item, make_items, same_item

HASHES = [digest(number)[:12] for number in range(8)]
SETTINGS = [UNSTEERED, digest("one"), digest("other")]


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(sorted(COLLECTIONS)),
    drawn=st.dictionaries(
        st.builds(
            Identity,
            st.sampled_from(HASHES),
            st.sampled_from(["base", "general@1.0", "ä@-0.5"]),
            st.sampled_from(SETTINGS),
        ),
        st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 9)),
        max_size=8,
    ),
    shuffled=st.randoms(use_true_random=False),
)
def test_a_collection_is_a_dict_of_items(kind, drawn, shuffled) -> None:
    schema = COLLECTIONS[kind]
    model = {
        who: make_item(schema, who[0], who[1], setting=who[2], seed=seed, longest=longest)
        for who, (seed, longest) in drawn.items()
    }
    items = list(model.values())
    shuffled.shuffle(items)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / kind
        write_collection(path, schema, items, provenance={"model": "ä"})
        collection = open_collection(path)
        assert len(collection) == len(model)
        assert collection.prompts() == sorted({who.prompt_hash for who in model})
        assert collection.variants() == sorted({who.variant for who in model})
        assert collection.keys == {who: model[who].key for who in sorted(model)}
        assert [item.identity for item in collection.items()] == sorted(model)
        assert all(same_item(item, model[item.identity]) for item in collection.items())
        assert all(same_item(collection.item_on_demand(*who), item) for who, item in model.items())
        assert list(collection.index["key"]) == [model[who].key for who in sorted(model)]
        for prompt in collection.prompts():
            assert collection.variants(prompt) == sorted({v for p, v, _ in model if p == prompt})
        others = [Identity(p, v, s) for p in HASHES for v in ("base", "other") for s in SETTINGS]
        for who in [who for who in others if who not in model]:
            assert who not in collection
            assert collection.key(*who) is None
            with pytest.raises(NotInStoreError, match=who.prompt_hash):
                collection.item(who.prompt_hash, who.variant, setting=who.setting)
        assert collection.provenance == read_provenance(path) == {"model": "ä"}


@pytest.mark.parametrize("schema", COLLECTIONS.values(), ids=COLLECTIONS)
def test_bytes_depend_on_the_items_alone(tmp_path, schema) -> None:
    items = make_items(schema, 6)
    write_collection(tmp_path / "one", schema, items, provenance={"a": 1, "b": 2})
    write_collection(tmp_path / "two", schema, reversed(items), provenance={"b": 2, "a": 1})
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")


def test_large_items_are_chunked_and_byte_stable(tmp_path) -> None:
    # Several chunks a shard, written by several threads; blosc must not notice.
    items = [
        make_item(FULL_GRAPHS, prompt, "base", lengths={"entry": 3 * CHUNK_ELEMENTS + 7}, seed=seed)
        for seed, prompt in enumerate(["a00000000000", "a00000000001"])
    ]
    for name in ("one", "two"):
        write_collection(tmp_path / name, FULL_GRAPHS, items, provenance={})
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    assert [same_item(*pair) for pair in zip(items, open_collection(tmp_path / "one").items(), strict=True)]
    # One file of metadata and one shard an array.
    assert len([f for f in (tmp_path / "one" / "101" / "data").rglob("*") if f.is_file()]) == 2


def test_another_prompt_changes_its_own_partition_and_the_index(tmp_path) -> None:
    items = make_items(CANDIDATES, 40)
    more = make_item(CANDIDATES, digest("another")[:12], "base")
    write_collection(tmp_path / "before", CANDIDATES, items, provenance={})
    write_collection(tmp_path / "after", CANDIDATES, [*items, more], provenance={})
    before, after = (_digests(tmp_path / name) for name in ("before", "after"))
    changed = {name.split("/")[0] for name in after if after[name] != before.get(name)}
    assert changed == {"zarr.json", "index", partition_of(more.prompt_hash, 3)}
    # And what was removed leaves nothing behind.
    write_collection(tmp_path / "after", CANDIDATES, items, provenance={})
    assert _digests(tmp_path / "after") == before


@pytest.mark.parametrize(
    ("prompts", "bits"),
    [(0, 3), (1, 3), (128, 3), (129, 4), (1000, 6), (1024, 6), (1025, 7), (10_000, 8), (10**6, 8)],
)
def test_partitions_grow_with_the_number_of_prompts(prompts, bits) -> None:
    assert partition_bits(prompts) == bits


def test_a_partition_is_named_by_the_first_bits_of_the_hash(tmp_path) -> None:
    assert partition_of("0" * 12, 3) == "000"
    assert partition_of("a5" + "f" * 10, 6) == "101001"
    items = make_items(SAMPLES, 20, ("base",))
    write_collection(tmp_path / "c", SAMPLES, items, provenance={})
    groups = {path.name for path in (tmp_path / "c").iterdir() if path.is_dir()}
    assert groups == {"index", *(partition_of(item.prompt_hash, 3) for item in items)}


def test_plain_xarray_reads_an_item(tmp_path) -> None:
    items = make_items(GRAPHS, 5)
    write_collection(tmp_path / "graphs", GRAPHS, items, provenance={})
    index = xr.open_zarr(tmp_path / "graphs", group="index", consolidated=False)
    item = items[3]
    mine = (index.prompt_hash == item.prompt_hash) & (index.variant == item.variant)
    row = index.isel(item=int(np.flatnonzero(mine)[0]))
    group = str(row.partition.values)
    partition = xr.open_zarr(tmp_path / "graphs", group=group, consolidated=False)
    edge = row.sel(ragged_dim="edge")
    weight = partition.edge_weight[int(edge.start) : int(edge.stop)]
    np.testing.assert_array_equal(weight, item.arrays["edge_weight"])
    pair = row.sel(ragged_dim="target_active")
    direct = partition.direct[int(pair.start) : int(pair.stop)]
    np.testing.assert_array_equal(direct.values.reshape(item.arrays["direct"].shape), item.arrays["direct"])
    assert weight.attrs["unit"] == GRAPHS.arrays["edge_weight"].unit
    assert float(row.replacement_score) == item.scalars["replacement_score"]
    tree = xr.open_datatree(tmp_path / "graphs", engine="zarr", consolidated=False)
    assert tree.attrs["kind"] == "graphs"
    assert tree.attrs["format_version"] == FORMAT_VERSION


def test_some_arrays_of_an_item(tmp_path) -> None:
    items = make_items(GRAPHS, 2)
    write_collection(tmp_path / "graphs", GRAPHS, items, provenance={})
    item = open_collection(tmp_path / "graphs").item(items[0].prompt_hash, "base", ["direct"])
    assert set(item.arrays) == {"direct"}
    assert item.arrays["direct"].shape == items[0].arrays["direct"].shape


def test_an_item_on_demand_is_the_item_and_reads_families(tmp_path) -> None:
    items = make_items(GRAPHS, 3)
    write_collection(tmp_path / "graphs", GRAPHS, items, provenance={})
    collection = open_collection(tmp_path / "graphs")
    for item in items:
        lazy = collection.item_on_demand(item.prompt_hash, item.variant)
        assert "node_kind" in lazy.arrays
        assert "node" not in lazy.arrays
        assert same_item(lazy, item)
    with pytest.raises(KeyError):
        lazy.arrays["node"]
    with pytest.raises(NotInStoreError, match="holds no prompt"):
        collection.item_on_demand("0" * 12, "base")


def test_an_item_on_demand_reads_what_is_used_and_nothing_else(tmp_path) -> None:
    item = make_item(GRAPHS, digest("a")[:12], "base", lengths={"edge": 5, "target": 2, "active": 3})
    write_collection(tmp_path / "graphs", GRAPHS, [item], provenance={})
    for path in tmp_path.glob("graphs/*/direct/c*"):
        path.write_bytes(b"damage")
    lazy = open_collection(tmp_path / "graphs").item_on_demand(item.prompt_hash, item.variant)
    assert lazy.arrays["edge_weight"].tobytes() == item.arrays["edge_weight"].tobytes()
    # Families come as a whole: what is gone now was read with `edge_weight`.
    for path in tmp_path.glob("graphs/*/edge_source/c*"):
        path.unlink()
    assert lazy.arrays["edge_source"].tobytes() == item.arrays["edge_source"].tobytes()
    with pytest.raises(DamagedArtifactError, match="direct"):
        lazy.arrays["direct"]


def test_an_empty_collection(tmp_path) -> None:
    write_collection(tmp_path / "c", GRAPHS, [], provenance={})
    collection = open_collection(tmp_path / "c")
    assert collection.prompts() == collection.variants() == list(collection.items()) == []
    assert len(collection.index) == 0
    with pytest.raises(NotInStoreError, match="000000000000"):
        collection.variants("000000000000")


def _item(**changes: object) -> Item:
    return replace(make_item(ACTIVATIONS, "0123456789ab", "base", lengths={"active": 3}), **changes)


def _array(name: str, array: np.ndarray) -> Item:
    item = _item()
    return replace(item, arrays={**item.arrays, name: array})


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (_array("value", np.zeros(3)), "value has dtype float64, not float32"),
        (_array("value", np.zeros(4, np.float32)), "value has length 4 along active, not 3"),
        (_array("value", np.zeros((3, 1), np.float32)), "value has 2 dims"),
        (_array("value", [1.0]), "value is a list"),
        (_array("surprise", np.zeros(3)), "array surprise not in the schema"),
        (_item(arrays={}), "array feature, layer, position, value missing"),
        (_item(scalars={}), "scalar d_transcoder, n_layers"),
        (_item(scalars={**_item().scalars, "n_layers": 2.0}), "n_layers is a float, not a int"),
        (_item(scalars={**_item().scalars, "n_layers": 2**40}), "too large for int32"),
        (_item(key="short"), "not 64 hex digits"),
        (_item(prompt_hash="XYZ"), "not 12 hex digits"),
        (_item(variant=""), "no printable name"),
        (_item(setting="stronger"), "the setting 'stronger' is no recipe's digest, 64 hex digits"),
    ],
)
def test_what_does_not_follow_the_schema_is_refused(tmp_path, item, message) -> None:
    with pytest.raises(InvalidItemError, match=message):
        write_collection(tmp_path / "c", ACTIVATIONS, [item], provenance={})
    assert list(tmp_path.iterdir()) == []


def test_an_item_that_comes_twice_is_refused(tmp_path) -> None:
    with pytest.raises(InvalidItemError, match="comes twice"):
        write_collection(tmp_path / "c", ACTIVATIONS, [_item(), _item()], provenance={})


def test_provenance_must_be_json(tmp_path) -> None:
    for bad in (float("nan"), np.float32(1), {1, 2}):
        with pytest.raises(InvalidItemError, match="provenance"):
            write_collection(tmp_path / "c", ACTIVATIONS, [], provenance={"a": bad})
    assert list(tmp_path.iterdir()) == []


def test_what_is_absent_names_the_way_out(tmp_path) -> None:
    with pytest.raises(ArtifactMissingError, match="dvc repro"):
        open_collection(tmp_path / "graphs")
    with pytest.raises(ArtifactMissingError, match="dvc repro"):
        open_dataset(tmp_path / "rates", "rates")
    write_collection(tmp_path / "c", ACTIVATIONS, [_item()], provenance={})
    with pytest.raises(NotInStoreError, match=r"holds no variant other .*; it holds base"):
        open_collection(tmp_path / "c").item("0123456789ab", "other")
    with pytest.raises(NotInStoreError, match="no item of prompt 0123456789ab, base under setting abab"):
        open_collection(tmp_path / "c").item("0123456789ab", "base", setting="ab" * 32)
    with pytest.raises(UnknownFormatError, match="open_collection"):
        open_dataset(tmp_path / "c", "index")


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
