"""Reading a version in object storage in place: the same content, little asked for, never two versions."""

import asyncio
import os
from collections import Counter
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.base.checksums import write_checksums
from store.base.errors import ArtifactMissingError, DamagedArtifactError, ReplacedArtifactError, StoreError
from store.base.hashing import bytes_digest
from store.collections.item import Item
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.datasets.groups import open_dataset, write_dataset
from store.documents.token_texts import read_token_texts, write_token_texts
from store.format.arrays import FileRecord
from store.remote import mirror
from store.remote.mirror import Mirror, mirrored
from store.remote.origins import bring, forget, listed, size_of
from store.remote.places import ObjectFiles
from store.remote.releases import push
from store.schema.candidates import CANDIDATES
from store.schema.graphs import GRAPHS
from store.schema.rates import RATES
from tests.support.awaited import awaited
from tests.support.marked import AT_ONCE, filled
from tests.support.object_store import ObjectStore
from tests.support.random_items import make_groups, make_item, make_items
from tests.support.trips import Trips

pytestmark = pytest.mark.usefixtures("no_origins_left")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    folder = tmp_path / "profile"
    write_collection(folder / "candidates", CANDIDATES, make_items(CANDIDATES, 2), provenance={"a": 1})
    write_dataset(folder / "rates", RATES, make_groups(RATES), provenance={})
    write_token_texts(folder / "vocabulary.json", ["a", "b"])
    write_checksums(folder, "prompts", [folder / "vocabulary.json"])
    return folder


def same(one: Item, other: Item) -> bool:
    return one.scalars == other.scalars and all(
        np.array_equal(one.arrays[name], other.arrays[name], equal_nan=one.arrays[name].dtype.kind == "f")
        for name in one.arrays
    )


def test_what_is_read_is_what_was_pushed(
    profile: Path, tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    version = push(profile, place)
    objects.requests.clear()
    held = mirrored(place, tmp_path / "cache")
    assert held.version == version
    assert len(objects.requests) == 2, "the pointer and the list"
    for _ in range(2):
        there, here = open_collection(held.folder / "candidates"), open_collection(profile / "candidates")
        assert there.provenance == {"a": 1}
        assert len(there) == 4
        assert all(same(one, other) for one, other in zip(there.items(), here.items(), strict=True))
        name = next(iter(RATES.groups))
        rates = open_dataset(held.folder / "rates", name).load()
        assert rates.equals(open_dataset(profile / "rates", name).load())
        assert read_token_texts(held.folder / "vocabulary.json") == ["a", "b"]
        asked = Counter(path for _, path in objects.requests)
        objects.requests.clear()
    assert not asked, "what has come is not asked for again"
    forget(held.folder)
    again = mirrored(place, tmp_path / "cache")
    assert [path.rpartition("/")[2] for _, path in objects.requests] == ["current.json?"]
    assert same(next(open_collection(again.folder / "candidates").items()), next(here.items()))
    assert len(objects.requests) == 1, "nor by the next program"


def test_no_file_is_asked_for_twice_and_none_that_is_not_read(
    profile: Path, tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    push(profile, place)
    objects.requests.clear()
    candidates = open_collection(mirrored(place, tmp_path / "cache").folder / "candidates")
    prompt, other = candidates.prompts()
    candidates.item(prompt, "base", ["candidate_token"])
    asked = Counter(path for _, path in objects.requests)
    assert set(asked.values()) == {1}
    assert not any("/rates/" in path or "vocabulary" in path for path in asked)
    chunks = {path.split("/files/")[1] for path in asked if path.rpartition("/")[2].startswith("c.")}
    assert {name.split("/")[2] for name in chunks if "/index/" not in name} == {"candidate_token"}
    candidates.item(other, "base", ["candidate_token"])
    candidates.item(prompt, "general@1.0", ["candidate_token"])


def test_a_graph_is_opened_in_few_trips(
    tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch, objects: ObjectStore
) -> None:
    """Of 50 ms each twenty make a second; with edges in blocks of a shard of several chunks, too."""
    lengths = {"edge": 100_000}
    whole = [make_item(GRAPHS, "0" * 12, name, lengths=lengths) for name in ("base", "general@1.0")]
    write_collection(tmp_path / "profile" / "graphs", GRAPHS, whole, provenance={})
    push(tmp_path / "profile", place)
    for block in (1 << 20, 1 << 15):
        monkeypatch.setattr(mirror, "BLOCK", block)
        objects.requests.clear()
        with Trips() as trips:
            graphs = open_collection(mirrored(place, tmp_path / str(block)).folder / "graphs")
            assert same(graphs.item("0" * 12, "base"), whole[0])
            (partition,) = graphs.artifact.groups.keys() - {"index"}
            assert trips.blocking == 4, "pointer, list, root with the index, the partition's metadata"
            assert trips.of("index", partition) <= 6, "and two of the partition, if a guess is wrong"
            assert max(trips.asked.values()) == 1, "no block twice, though several chunks lie in it"
            first = len(objects.requests)
            trips.phases.clear()
            assert same(graphs.item("0" * 12, "general@1.0"), whole[1])
            assert trips.blocking == 4
            assert max(trips.phases.values(), default=0) <= 2, "the next one is there, but for a wrong guess"
        assert len(objects.requests) - first < first / 4, "it lies beside the other"


@given(data=st.data())
def test_parts_are_the_bytes_of_the_file(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = data.draw(st.binary(min_size=1, max_size=40))
    block = data.draw(st.integers(1, 50))

    class Source(ObjectFiles):
        async def part(self, name: str, start: int, stop: int) -> bytes:
            await asyncio.sleep(0)
            return content[start:stop]

    files = {"x": FileRecord(bytes=len(content), sha256=bytes_digest(content))}
    held = Mirror(Source("s3", "b"), "v", files, tmp_path_factory.mktemp("cache"))
    bounds = st.tuples(st.integers(0, len(content)), st.integers(0, len(content)))
    asked = data.draw(st.lists(bounds, min_size=1, max_size=5))

    async def together() -> list[bytes]:
        return await asyncio.gather(*(held.part("x", *each) for each in asked))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mirror, "BLOCK", block)
        for _ in range(2):
            assert awaited(together) == [content[start:stop] for start, stop in asked]


def test_a_reader_meanwhile_sees_one_version_or_the_other(tmp_path: Path, place: ObjectFiles) -> None:
    push(filled(tmp_path / "0", "0"), place)
    done, seen = Event(), []

    def reading() -> None:
        while True:
            last = done.is_set()
            held = mirrored(place, tmp_path / "cache")
            found = {
                path.read_text().split()[0]
                for part in (0, 1)
                for path in listed(held.folder / f"part{part}", ".txt")
            }
            seen.append(found)
            if last:
                return

    reader = Thread(target=reading)
    reader.start()
    for number in range(1, 4):
        push(filled(tmp_path / str(number), str(number)), place)
    done.set()
    reader.join()
    assert all(len(found) == 1 for found in seen)
    assert seen[-1] == {"3"}


def test_one_that_is_open_stays_what_it_is(profile: Path, tmp_path: Path, place: ObjectFiles) -> None:
    push(profile, place)
    held = mirrored(place, tmp_path / "cache")
    write_token_texts(profile / "vocabulary.json", ["c"])
    write_checksums(profile, "prompts", [profile / "vocabulary.json"])
    push(profile, place)
    assert read_token_texts(held.folder / "vocabulary.json") == ["a", "b"]
    assert read_token_texts(mirrored(place, tmp_path / "cache").folder / "vocabulary.json") == ["c"]


def test_a_version_that_is_swept_while_it_is_open_is_told(
    profile: Path, tmp_path: Path, place: ObjectFiles
) -> None:
    push(profile, place)
    held = mirrored(place, tmp_path / "cache")
    candidates = open_collection(held.folder / "candidates")
    candidates.item(candidates.prompts()[0], "base", ["candidate_token"])
    write_token_texts(profile / "vocabulary.json", ["c"])
    push(profile, place, grace=AT_ONCE)
    with pytest.raises(ReplacedArtifactError, match="is swept; reload the page"):
        read_token_texts(held.folder / "vocabulary.json")
    with pytest.raises(ReplacedArtifactError, match="is swept"):
        candidates.item(candidates.prompts()[0], "base", ["candidate_probability"])


def test_damage_is_told_and_not_kept(profile: Path, tmp_path: Path, place: ObjectFiles) -> None:
    version = push(profile, place)
    damaged = ("vocabulary.json", "candidates/index/variant/c.0")
    names = [f"versions/{version}/files/{name}" for name in damaged]
    right = [place.read(name) or b"" for name in names]
    for name, content in zip(names, right, strict=True):
        place.write(name, content[:-1] + b"?")
    held = mirrored(place, tmp_path / "cache")
    with pytest.raises(DamagedArtifactError, match=r"vocabulary\.json is not what was pushed"):
        read_token_texts(held.folder / "vocabulary.json")
    with pytest.raises(DamagedArtifactError, match=r"variant/c\.0 is not what was pushed"):
        open_collection(held.folder / "candidates").prompts()
    for name, content in zip(names, right, strict=True):
        place.write(name, content)
    assert read_token_texts(held.folder / "vocabulary.json") == ["a", "b"]
    assert len(open_collection(held.folder / "candidates").prompts()) == 2
    place.remove(f"versions/{version}/files/rates/zarr.json")
    with pytest.raises(DamagedArtifactError, match=r"lacks rates/zarr\.json of its version; push it again"):
        open_dataset(held.folder / "rates", next(iter(RATES.groups)))


def test_what_is_not_there_is_as_it_is_on_a_disk(profile: Path, tmp_path: Path, place: ObjectFiles) -> None:
    with pytest.raises(ArtifactMissingError, match="Nothing was pushed to"):
        mirrored(place, tmp_path / "cache")
    push(profile, place)
    folder = mirrored(place, tmp_path / "cache").folder
    with pytest.raises(ArtifactMissingError, match="does not exist yet"):
        open_collection(folder / "activations")
    with pytest.raises(ArtifactMissingError, match="does not exist yet"):
        read_token_texts(folder / "prompts.json")
    assert listed(folder / "metrics", ".json") == []
    with pytest.raises(FileNotFoundError):
        size_of(folder / "prompts.json")


def test_a_service_that_refuses_is_told_and_one_that_is_busy_is_asked_again(
    profile: Path, tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    push(profile, place)
    failing: list[int] = []
    objects.before = lambda method, path: failing.pop() if failing and method == "GET" else None
    held = mirrored(place, tmp_path / "cache")
    failing += [503, 500]
    candidates = open_collection(held.folder / "candidates")
    assert len(candidates.prompts()) == 2
    objects.before = lambda method, path: 403
    with pytest.raises(StoreError, match="cannot be used"):
        mirrored(place, tmp_path / "cache")
    with pytest.raises(StoreError, match="cannot be used"):
        read_token_texts(held.folder / "vocabulary.json")
    with pytest.raises(StoreError, match="cannot be used"):
        candidates.item(candidates.prompts()[0], "base")
    objects.before = lambda method, path: None
    assert read_token_texts(held.folder / "vocabulary.json") == ["a", "b"]


def test_a_cache_that_lost_power_or_is_full_is_mended_or_told(
    profile: Path, tmp_path: Path, place: ObjectFiles
) -> None:
    push(profile, place)
    cache = tmp_path / "cache"
    held = mirrored(place, cache)
    bring(held.folder / "vocabulary.json")
    (held.folder / "vocabulary.json").write_bytes(b"")
    assert read_token_texts(held.folder / "vocabulary.json") == ["a", "b"]
    (held.folder.parent / "files.json").write_bytes(b"")
    forget(held.folder)
    assert mirrored(place, cache).names("vocabulary.json") == ["vocabulary.json"]
    (held.folder / "rates").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot keep what was read"):
        open_dataset(mirrored(place, cache).folder / "rates", next(iter(RATES.groups)))
    assert not list(cache.rglob("*.aside"))


def test_versions_that_nobody_opens_leave_the_cache(tmp_path: Path, place: ObjectFiles) -> None:
    cache, ages = tmp_path / "cache", (0, 2 * 86_400)
    for number, age in enumerate(ages):
        push(filled(tmp_path / str(number), str(number)), place)
        held = mirrored(place, cache)
        listed(held.folder / "part0", ".txt")
        before = held.folder.parent.stat().st_mtime - age
        os.utime(held.folder.parent, (before, before))
    push(filled(tmp_path / "2", "2"), place)
    assert len(list((cache / "versions").iterdir())) == 2
    mirrored(place, cache)
    left = {path.name for path in (cache / "versions").iterdir()}
    assert len(left) == 2
    assert held.version not in left
