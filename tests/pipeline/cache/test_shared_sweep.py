"""The sweep where ``EMC_CACHE`` says that items lie: in another folder, or in a bucket."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from pipeline.cache.__main__ import main
from pipeline.items.cache import VARIABLE, ItemCache, chosen_cache
from pipeline.run.stage import CACHE
from store.collections.writer import write_collection
from store.remote.places import ObjectFiles
from store.schema.candidates import CANDIDATES
from tests.support.object_store import BUCKET, ObjectStore
from tests.support.places import ROOT
from tests.support.random_items import make_items

KIND: Final = CANDIDATES.kind
ITEMS: Final = make_items(CANDIDATES, 2)
"""Two are listed, two are stale."""


@pytest.fixture(params=["folder", "bucket"])
def cache(
    request: pytest.FixtureRequest, tmp_path: Path, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> ItemCache:
    """Old items at a place that another clone may use, too; here are artifacts that list a half of them."""
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    folder = tmp_path / "shared"
    bucket = f"s3://{BUCKET}/{tmp_path.name}/items"
    monkeypatch.setenv(VARIABLE, str(folder) if request.param == "folder" else bucket)
    found = chosen_cache(CACHE)
    for item in ITEMS:
        found.put(KIND, item)
    for path in folder.rglob("*.safetensors"):
        os.utime(path, (1e9, 1e9))
    if request.param == "bucket":
        objects.age("/items/", timedelta(days=1000))
    write_collection(Path("artifacts/one/candidates"), CANDIDATES, ITEMS[:2], provenance={})
    return found


def held(cache: ItemCache) -> set[str]:
    return {name.rpartition("/")[2].removesuffix(".safetensors") for name in cache.files.facts()}


def test_it_tells_and_goes_when_it_is_said_twice(
    cache: ItemCache, capsys: pytest.CaptureFixture[str]
) -> None:
    every = {item.key for item in ITEMS}
    size = sum(facts.size for facts in cache.files.facts().values()) / 2e6
    assert main(["sweep"]) == 0
    said = capsys.readouterr().out
    assert f"The cache at {cache.files}:" in said
    assert f"Would go: 2 items, {size:.1f} MB" in said
    assert main(["sweep", "--apply"]) == 1
    assert "other clones' artifacts" in capsys.readouterr().err
    assert held(cache) == every
    assert main(["sweep", "--apply", "--shared"]) == 0
    assert held(cache) == {item.key for item in ITEMS[:2]}
    assert not CACHE.exists(), "of this clone's own folder nothing was asked"


def test_what_is_young_and_what_is_no_item_stays(cache: ItemCache) -> None:
    for key in (item.key for item in ITEMS[2:]):
        name = f"{KIND}/{key[:2]}/{key}.safetensors"
        cache.files.write(name, cache.files.read(name) or b"")
    cache.files.write("notes.txt", b"mine")
    assert main(["sweep", "--apply", "--shared"]) == 0
    assert held(cache) == {item.key for item in ITEMS} | {"notes.txt"}


@pytest.mark.parametrize("cache", ["bucket"], indirect=True)
def test_what_a_service_does_not_remove_is_told(
    cache: ItemCache,
    objects: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    objects.before = lambda method, path: 403 if method == "POST" else None
    assert main(["sweep", "--apply", "--shared"]) == 1
    told = capsys.readouterr()
    assert "cannot be used" in told.err
    assert "Removed" not in told.out
    objects.before = lambda method, path: None
    # As s3fs does where the service names errors for each of them.
    monkeypatch.setattr(ObjectFiles, "remove_all", lambda files, names: None)
    assert main(["sweep", "--apply", "--shared"]) == 1
    told = capsys.readouterr()
    assert f"{cache.files} still holds 2 of 2 items that were to go, {KIND}/" in told.err
    assert "Removed" not in told.out
    assert held(cache) == {item.key for item in ITEMS}


def test_a_place_that_cannot_be_used_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.setenv(VARIABLE, "s4://bucket/items")
    assert main(["sweep"]) == 1
    assert "Storage of the kind 's4:' is not supported" in capsys.readouterr().err
