"""The written format: complete, and kept by artifacts of every version, read forever."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from store import open_collection, open_dataset, read_provenance
from store.format.integrity import find_artifacts, verify
from store.schema.registry import COLLECTIONS, DATASETS
from store.schema.specs import FORMAT_VERSION, SETTINGS_SINCE
from tests.support.format_tables import FORMAT, START, tables
from tests.support.make_sample import DATA, plain

VERSIONS = sorted(path.name for path in DATA.iterdir() if path.is_dir())
ALL_SCHEMAS = [*COLLECTIONS.values(), *DATASETS.values()]


def _newest(kind: str) -> Path:
    """The committed sample of a kind in the newest version that has one: later ones did not change it."""
    return max(DATA.glob(f"v*/{kind}"))


def _expected(version: str) -> dict:
    return json.loads((DATA / version / "expected.json").read_text(encoding="utf-8"))


def _expected_items(version: str) -> dict[str, list[dict]]:
    return {kind: items for kind, items in _expected(version).items() if kind in COLLECTIONS}


def _expected_datasets(version: str) -> list[str]:
    return [kind for kind in _expected(version) if kind in DATASETS]


def test_the_document_lists_every_array() -> None:
    text = FORMAT.read_text(encoding="utf-8")
    assert text.partition(START)[2] == tables(), "run `python -m tests.support.format_tables`"
    assert f"# Format of the artifact store, version {FORMAT_VERSION}\n" in text
    for schema in ALL_SCHEMAS:
        assert f"`{schema.kind}" in text


def test_every_array_says_what_it_is() -> None:
    groups = [
        *(schema.arrays | schema.scalars for schema in COLLECTIONS.values()),
        *(group for schema in DATASETS.values() for group in schema.groups.values()),
    ]
    for arrays in groups:
        for name, spec in arrays.items():
            assert spec.meaning, name
            assert spec.dtype == "str" or np.dtype(spec.dtype).kind in "bif", name


def test_this_version_has_a_sample() -> None:
    assert f"v{FORMAT_VERSION}" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_committed_samples_are_whole(version) -> None:
    artifacts = find_artifacts(DATA / version)
    assert [path.name for path in artifacts] == sorted(_expected(version))
    for path in artifacts:
        assert verify(path) == []
        assert read_provenance(path) == {"sample": True, "format_version": int(version[1:])}


@pytest.mark.parametrize("version", VERSIONS)
def test_committed_collections_read_as_written(version) -> None:
    for kind, items in _expected_items(version).items():
        collection = open_collection(DATA / version / kind)
        assert len(collection) == len(items)
        for expected in items:
            setting = expected.get("setting", "")
            item = collection.item(expected["prompt_hash"], expected["variant"], setting=setting)
            assert item.key == expected["key"]
            assert dict(item.scalars) == expected["scalars"]
            assert item.arrays.keys() == expected["arrays"].keys() == collection.schema.arrays.keys()
            for name, values in expected["arrays"].items():
                assert item.arrays[name].dtype == collection.schema.arrays[name].dtype
                assert plain(item.arrays[name]) == values


@pytest.mark.parametrize(
    ("version", "kind"), [(version, kind) for version in VERSIONS for kind in _expected_datasets(version)]
)
def test_committed_datasets_read_as_written(version, kind) -> None:
    path = DATA / version / kind
    for group, arrays in _expected(version)[kind].items():
        dataset = open_dataset(path, group)
        plainly = xr.open_zarr(path, group=group, consolidated=False)
        for name, values in arrays.items():
            assert plain(dataset[name].values) == values
            assert plain(plainly[name].values) == values


@pytest.mark.parametrize("version", VERSIONS)
def test_committed_collections_read_with_plain_xarray(version) -> None:
    for kind, items in _expected_items(version).items():
        path = DATA / version / kind
        index = xr.open_zarr(path, group="index", consolidated=False).load()
        for row, expected in enumerate(items):
            item = index.isel(item=row)
            assert str(item.prompt_hash.values) == expected["prompt_hash"]
            assert str(item.variant.values) == expected["variant"]
            assert ("setting" in item) == ("setting" in expected) == (int(version[1:]) >= SETTINGS_SINCE)
            if "setting" in item:
                assert str(item.setting.values) == expected["setting"]
            part = xr.open_zarr(path, group=str(item.partition.values), consolidated=False)
            for name, values in expected["arrays"].items():
                (dim,) = part[name].dims
                span = item.sel(ragged_dim=dim)
                mine = part[name][int(span.start) : int(span.stop)].values
                flat = np.array(values, dtype=object).reshape(-1).tolist()
                assert plain(mine) == flat


def test_the_example_of_the_document_runs(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "artifacts" / "organism"
    for name in ("graphs", "activations", "adapters"):
        shutil.copytree(_newest(name), folder / name)
    monkeypatch.chdir(tmp_path)
    blocks = FORMAT.read_text(encoding="utf-8").split("```python\n")[1:]
    plainly, with_store = (block.partition("```")[0] for block in blocks)
    # The sample has other prompts, and no features artifact.
    plainly = plainly.replace("0b7c0e1d2f3a", "0123456789ab")
    kept = [line for line in plainly.splitlines() if "ranking" not in line]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names: dict = {}
        exec("\n".join(kept), names)
    assert names["weights"].sizes["edge"] == len(
        _expected(_newest("graphs").parent.name)["graphs"][0]["arrays"]["edge_weight"]
    )
    lines = [
        line
        for line in with_store.splitlines()
        # Random numbers, which are no graph.
        if not line.startswith(("open_dataset", "graph.", "select", "writes."))
    ]
    exec("\n".join(lines), names)
    assert isinstance(names["graphs"].prompts(), list)


def test_a_file_of_the_sample_is_no_accident(tmp_path) -> None:
    # The samples must stay as committed: line endings converted by git would break them.
    assert (DATA / ".gitattributes").read_text() == "* -text\n"
    copied = shutil.copytree(_newest("rates"), tmp_path / "rates")
    root = Path(copied) / "zarr.json"
    root.write_bytes(root.read_bytes().replace(b"\n", b"\r\n"))
    assert verify(Path(copied)) != []
