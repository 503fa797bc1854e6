"""What goes wrong between a bucket and its copy on this disk is told in true words, and comes right again."""

import errno
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from store.base.errors import DamagedArtifactError, StoreError
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.documents.token_texts import read_token_texts, write_token_texts
from store.format import chunks
from store.remote import mirror
from store.remote.mirror import mirrored
from store.remote.places import ObjectFiles
from store.remote.releases import push
from store.remote.versions import POINTER
from store.schema.candidates import CANDIDATES
from store.schema.graphs import GRAPHS
from tests.support.marked import AT_ONCE, filled
from tests.support.random_items import make_item, make_items
from tests.support.trips import Trips

pytestmark = pytest.mark.usefixtures("no_origins_left")

ITEMS = make_items(CANDIDATES, 1)
WHO = ITEMS[0].prompt_hash


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    folder = tmp_path / "profile"
    write_collection(folder / "candidates", CANDIDATES, ITEMS, provenance={})
    write_token_texts(folder / "vocabulary.json", ["a", "b"])
    return folder


def _one_array(files: list[str]) -> str:
    """The chunks of an array that is no column of the index."""
    return next(name for name in files if "/index/" not in name and "candidate_token/c." in name)


@pytest.mark.parametrize("where", ["in the bucket", "on this disk"])
def test_a_damaged_block_of_a_large_file_is_told_and_not_kept(
    where: str, profile: Path, tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "BLOCK", 16)
    version = push(profile, place)
    held = mirrored(place, tmp_path / "cache")
    chunk = _one_array(held.names("candidates"))
    at = f"versions/{version}/files/{chunk}"
    right = place.read(at)
    assert right is not None
    assert len(right) > 16
    candidates = open_collection(held.folder / "candidates")
    if where == "in the bucket":
        place.write(at, bytes([right[0] ^ 1]) + right[1:])
    else:
        candidates.item(WHO, "base", ["candidate_token"])
        block = held.folder.with_name("blocks") / f"{chunk}.0"
        block.write_bytes(bytes([right[0] ^ 1]) + right[1:16])
    with pytest.raises(DamagedArtifactError) as told:
        candidates.item(WHO, "base", ["candidate_token"])
    assert "reload the page; if it is damaged still, remove s3://" in str(told.value)
    assert f"{place}/versions/{version}/files/{chunk.rpartition('/')[0]}, and push again." in str(told.value)
    assert "dvc" not in str(told.value)
    if where == "in the bucket":
        place.remove(at)
        push(profile, place)
    assert candidates.item(WHO, "base", ["candidate_token"]).arrays.keys() == {"candidate_token"}


def test_what_lies_in_several_shards_comes_in_few_trips(
    tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ELEMENTS", 1 << 10)
    monkeypatch.setattr(chunks, "SHARD_ELEMENTS", 1 << 13)
    monkeypatch.setattr(mirror, "BLOCK", 1 << 12)
    items = [
        make_item(GRAPHS, "0" * 12, variant, lengths={"edge": length})
        for variant, length in (("base", 9_000), ("general@1.0", 12_000))
    ]
    write_collection(tmp_path / "profile" / "graphs", GRAPHS, items, provenance={})
    push(tmp_path / "profile", place)
    graphs = open_collection(mirrored(place, tmp_path / "cache").folder / "graphs")
    for item in reversed(items):
        with Trips() as trips:
            found = graphs.item(item.prompt_hash, item.variant)
            assert np.array_equal(found.arrays["edge_weight"], item.arrays["edge_weight"], equal_nan=True)
        later = [count for name, count in trips.phases.items() if name.endswith(("/c.1", "/c.2", "/c.3"))]
        assert max(later) == 1, "of each shard its index and all that is read come at once"


@pytest.mark.parametrize("name", ["vocabulary.json", "candidates/zarr.json", "candidates/index/zarr.json"])
def test_a_file_that_this_disk_damaged_comes_again(
    name: str, profile: Path, tmp_path: Path, place: ObjectFiles
) -> None:
    push(profile, place)
    held = mirrored(place, tmp_path / "cache")

    def read() -> None:
        read_token_texts(held.folder / "vocabulary.json")
        open_collection(held.folder / "candidates").prompts()

    read()
    right = (held.folder / name).read_bytes()
    (held.folder / name).write_bytes(b"?" + right[1:])
    with pytest.raises(DamagedArtifactError, match=r"reload the page; if it is damaged still, remove s3://"):
        read()
    read()


def test_a_cache_that_is_emptied_fills_again(profile: Path, tmp_path: Path, place: ObjectFiles) -> None:
    version = push(profile, place)
    held = mirrored(place, tmp_path / "cache")
    candidates = open_collection(held.folder / "candidates")
    candidates.item(WHO, "base")
    shutil.rmtree(tmp_path / "cache")
    candidates.item(WHO, "base")
    shutil.rmtree(tmp_path / "cache")
    assert mirrored(place, tmp_path / "cache").version == version
    candidates.item(WHO, "base")


def test_a_version_that_is_current_again_is_the_one_that_was_opened(
    profile: Path, tmp_path: Path, place: ObjectFiles
) -> None:
    cache = tmp_path / "cache"
    push(profile, place)
    first = mirrored(place, cache)
    candidates = open_collection(first.folder / "candidates")
    candidates.item(WHO, "base", ["candidate_token"])
    os.utime(first.folder.parent, (1e9, 1e9))
    push(filled(tmp_path / "other", "2"), place)
    mirrored(place, cache)
    assert not first.folder.parent.exists()
    push(profile, place)
    assert mirrored(place, cache).folder == first.folder
    candidates.item(WHO, "base")


def test_another_program_tidies_the_same_cache(
    tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(filled(tmp_path / "0", "0"), place)
    held = mirrored(place, tmp_path / "cache")
    old = held.folder.parent.with_name("0" * 64)
    old.mkdir()
    listing = Path.iterdir

    def emptied(folder: Path) -> list[Path]:
        found = list(listing(folder))
        old.rmdir()
        return found

    monkeypatch.setattr(Path, "iterdir", emptied)
    assert mirrored(place, tmp_path / "cache") is held


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, place: ObjectFiles) -> None:
    push(filled(tmp_path / "0", "0"), place)
    mirrored(place, tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot keep what was read"):
        mirrored(place, tmp_path / "cache")


def test_a_disk_without_hard_links_keeps_files_for_everybody(
    profile: Path, tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    push(profile, place)
    for links in (True, False):
        if not links:
            monkeypatch.setattr(Path, "hardlink_to", refused)
        held = mirrored(place, tmp_path / f"cache-{links}")
        assert read_token_texts(held.folder / "vocabulary.json") == ["a", "b"]
        open_collection(held.folder / "candidates").item(WHO, "base")
        kept = [path for path in (tmp_path / f"cache-{links}").rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o644}
        assert not [path for path in kept if path.name.endswith(".aside")]
        mirror.forget(held.folder)


def test_what_is_swept_and_then_pushed_by_a_later_version_is_told(
    profile: Path, tmp_path: Path, place: ObjectFiles
) -> None:
    push(profile, place)
    held = mirrored(place, tmp_path / "cache")
    write_token_texts(profile / "vocabulary.json", ["c"])
    push(profile, place, grace=AT_ONCE)
    place.write(POINTER, b'{"format_version":2}')
    with pytest.raises(StoreError, match="pushed by a later version of this code; update it"):
        read_token_texts(held.folder / "vocabulary.json")
