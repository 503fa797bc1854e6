"""What is small comes along with what is asked for, so that further files cost no trips of their own."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.base.errors import DamagedArtifactError, UserError
from store.base.hashing import bytes_digest
from store.collections.reader import open_collection, write_collection
from store.datasets.groups import open_dataset, read_provenance, write_dataset
from store.documents.token_texts import read_token_texts, write_token_texts
from store.format.arrays import FileRecord
from store.remote import mirror
from store.remote.mirror import Mirror, mirrored
from store.remote.places import ObjectFiles
from store.remote.releases import push
from store.schema.candidates import CANDIDATES
from store.schema.rates import RATES
from tests.support.object_store import ObjectStore
from tests.support.random_items import make_groups, make_items
from tests.support.trips import Trips

pytestmark = pytest.mark.usefixtures("no_origins_left")

RATE, *_ = RATES.groups


def test_a_group_is_one_trip_however_many_arrays_it_has(tmp_path: Path, place: ObjectFiles) -> None:
    profile = tmp_path / "profile"
    write_dataset(profile / "rates", RATES, make_groups(RATES), provenance={})
    write_collection(profile / "candidates", CANDIDATES, make_items(CANDIDATES, 1), provenance={"made": "so"})
    for name in ("vocabulary", "others"):
        write_token_texts(profile / f"{name}.json", ["a", "b"])
    push(profile, place)
    folder = mirrored(place, tmp_path / "cache").folder
    with Trips() as trips:
        assert read_provenance(folder / "rates") == {}
        assert read_provenance(folder / "candidates") == {"made": "so"}
        assert trips.blocking == 1, "roots of artifacts come with each other"
        for n, group in enumerate(RATES.groups, start=2):
            there = open_dataset(folder / "rates", group).load()
            assert there.equals(open_dataset(profile / "rates", group).load())
            assert trips.blocking == n
        assert not trips.phases, "no array is asked for by itself"
        for name in ("vocabulary", "others"):
            assert read_token_texts(folder / f"{name}.json") == ["a", "b"]
        assert trips.blocking == n + 1, "documents come with the first of them"


def test_small_arrays_of_all_items_come_in_one_trip(
    tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    items = make_items(CANDIDATES, 4)
    write_collection(tmp_path / "profile" / "candidates", CANDIDATES, items, provenance={})
    push(tmp_path / "profile", place)
    here, there = (
        open_collection(folder / "candidates")
        for folder in (tmp_path / "profile", mirrored(place, tmp_path / "cache").folder)
    )
    with Trips() as trips:
        assert len({*here.artifact.groups}) > 2, "several partitions"
        for one, other in zip(here.each(["candidate_token"]), there.each(["candidate_token"]), strict=True):
            assert one[0] == other[0]
            assert one[1][0].tolist() == other[1][0].tolist()
        assert "GET" not in objects.methods("candidate_probability"), "of those that are asked for alone"
        assert (trips.blocking, dict(trips.phases)) == (1, {})
        who = items[0].prompt_hash, items[0].variant
        assert there.item(*who).arrays.keys() == here.item(*who).arrays.keys()
        assert trips.blocking == 2, "metadata of the partition's other arrays"


def test_large_arrays_come_when_they_are_read(
    tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch, objects: ObjectStore
) -> None:
    write_dataset(tmp_path / "profile" / "rates", RATES, make_groups(RATES, longest=40), provenance={})
    push(tmp_path / "profile", place)
    held = mirrored(place, tmp_path / "cache")
    (large,) = [name for name in held.names(f"rates/{RATE}/rate") if "/c." in name]
    monkeypatch.setattr(mirror, "BLOCK", (held.size(large) or 0) - 1)
    objects.requests.clear()
    table = open_dataset(held.folder / "rates", RATE)
    assert not objects.methods(large)
    assert table.load().equals(open_dataset(tmp_path / "profile" / "rates", RATE).load())
    assert len(objects.methods(large)) == 2, "in two blocks"
    for name in held.names("rates"):
        assert len(objects.methods(f"/files/{name}?")) <= 1 + ((held.size(name) or 0) > mirror.BLOCK), (
            "and nothing twice"
        )


def test_what_is_wrong_with_one_array_is_told_when_it_is_read(tmp_path: Path, place: ObjectFiles) -> None:
    write_dataset(tmp_path / "profile" / "rates", RATES, make_groups(RATES), provenance={})
    version = push(tmp_path / "profile", place)
    held = mirrored(place, tmp_path / "cache")
    for name in ("low", "high"):
        (chunk,) = [each for each in held.names(f"rates/{RATE}/{name}") if "/c." in each]
        at = f"versions/{version}/files/{chunk}"
        place.write(at, bytes(held.size(chunk) or 0)) if name == "low" else place.remove(at)
    table = open_dataset(held.folder / "rates", RATE)
    assert table["rate"].values.shape == table["low"].shape
    with pytest.raises(DamagedArtifactError, match="is not what was pushed"):
        _ = table["low"].values
    with pytest.raises(DamagedArtifactError, match="of its version; push it again"):
        _ = table["high"].values


def test_what_comes_along_is_in_nobodys_way(
    tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that refuses a file which nobody reads, or all once a root is here, ends nothing."""
    write_dataset(tmp_path / "profile" / "rates", RATES, make_groups(RATES), provenance={"made": "so"})
    push(tmp_path / "profile", place)
    held = mirrored(place, tmp_path / "cache")
    whole = ObjectFiles.read_all

    def refusing(self: ObjectFiles, names: Sequence[str]) -> dict[str, bytes]:
        if any("/low/c" in name for name in names):
            raise UserError("The service refuses.")
        return whole(self, names)

    with monkeypatch.context() as patched:
        patched.setattr(ObjectFiles, "read_all", refusing)
        table = open_dataset(held.folder / "rates", RATE)
        assert table["high"].values.shape == table["rate"].shape
        patched.setattr(ObjectFiles, "read_all", lambda self, names: refusing(self, ["/low/c"]))
        assert read_provenance(held.folder / "rates") == {"made": "so"}


@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=8), block=st.integers(1, 60), data=st.data())
def test_the_smallest_come_along_as_many_as_a_block_holds(
    sizes: list[int], block: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    contents = {f"f{n}": bytes([n]) * size for n, size in enumerate(sizes)}
    wanted = data.draw(st.sets(st.sampled_from(sorted(contents))))
    asked: list[list[str]] = []

    class Source(ObjectFiles):
        def read_all(self, names: list[str]) -> dict[str, bytes]:  # type: ignore[override]
            asked.append([name.rpartition("/")[2] for name in names])
            return {name: contents[name.rpartition("/")[2]] for name in names}

    files = {name: FileRecord(bytes=len(each), sha256=bytes_digest(each)) for name, each in contents.items()}
    held = Mirror(Source("s3", "b"), "v", files, tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mirror, "BLOCK", block)
        held.bring(wanted, contents)
        held.bring(wanted, contents)
    (names,) = asked or [[]]
    assert len(names) == len(set(names)), "once each, and all in one trip"
    along = set(names) - wanted
    assert wanted <= set(names)
    assert sum(len(contents[name]) for name in along) <= block
    left = set(contents) - set(names)
    for name in along:
        assert all(len(contents[name]) <= len(contents[other]) for other in left)
    if left:
        least = min(len(contents[name]) for name in left)
        assert sum(len(contents[name]) for name in along) + least > block
    for name in names:
        assert (held.folder / name).read_bytes() == contents[name]
