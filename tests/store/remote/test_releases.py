"""A folder in object storage appears whole: writers killed, readers in between, versions swept."""

import os
import signal
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock, Thread

import pytest

from store.__main__ import main
from store.base.errors import ArtifactMissingError, DamagedArtifactError, UserError
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.format.integrity import verify
from store.remote.places import ObjectFiles
from store.remote.releases import pull, push
from store.remote.versions import current
from store.schema.candidates import CANDIDATES
from tests.support.forked import forked
from tests.support.marked import AT_ONCE, filled, marks, versions
from tests.support.object_store import ObjectStore
from tests.support.places import ROOT
from tests.support.random_items import make_items


def test_artifacts_come_back_to_the_byte(tmp_path: Path, place: ObjectFiles) -> None:
    folder = tmp_path / "profile"
    write_collection(folder / "candidates", CANDIDATES, make_items(CANDIDATES, 2), provenance={"a": 1})
    (folder / "models.json").write_text("{}")
    (folder / ".gitignore").write_text("/candidates")
    version = push(folder, place)
    assert pull(place, tmp_path / "pulled") == version == current(place)
    assert verify(tmp_path / "pulled" / "candidates") == []
    assert len(open_collection(tmp_path / "pulled" / "candidates")) == 4
    for path in folder.rglob("*"):
        if path.is_file() and path.name != ".gitignore":
            assert (tmp_path / "pulled" / path.relative_to(folder)).read_bytes() == path.read_bytes()
    assert not (tmp_path / "pulled" / ".gitignore").exists(), "which is git's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["profile", "pulled"]


def test_a_damaged_artifact_is_not_pushed(tmp_path: Path, place: ObjectFiles, objects: ObjectStore) -> None:
    folder = tmp_path / "profile"
    write_collection(folder / "candidates", CANDIDATES, make_items(CANDIDATES, 1), provenance={})
    chunk = next(path for path in folder.rglob("c.0*"))
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedArtifactError, match="candidates is damaged; `python -m store verify"):
        push(folder, place)
    assert objects.methods(tmp_path.name) == []


def test_only_what_is_not_there_travels(tmp_path: Path, place: ObjectFiles, objects: ObjectStore) -> None:
    push(filled(tmp_path / "a", "one"), place)
    pull(place, tmp_path / "pulled")
    objects.requests.clear()
    push(tmp_path / "a", place)
    assert not any("/files/" in path for method, path in objects.requests if method == "PUT")
    (tmp_path / "a" / "part0" / "0.txt").write_text("two 0")
    push(tmp_path / "a", place)
    objects.requests.clear()
    pull(place, tmp_path / "pulled")
    assert [path for method, path in objects.requests if "/files/" in path and method == "GET"] == [
        f"/{place.path}/versions/{current(place)}/files/part0/0.txt?"
    ]
    assert marks(tmp_path / "pulled") == ["two", *["one"] * 5]


def test_a_writer_that_is_killed_leaves_the_one_version_or_the_other(
    tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    """At each of its ten writes, which the server has taken or not; somebody reads all the while."""
    first = push(filled(tmp_path / "before", "before"), place)
    points = [(point, point % 2 == 1) for point in range(1, 11)] + [(10, True)]
    programs = {}
    for point, taken in points:
        name = f"{point}-{taken}"
        filled(tmp_path / name, name)
        programs[name] = (
            f"Path('writer').write_text(f'{{os.getpid()}} {point} {int(taken)}')\n"
            f"push(Path('{name}'), files_at('{place}'))\n"
        )
    writes: defaultdict[int, set[str]] = defaultdict(set)  # what is sent again counts once
    begun_by: dict[str, int] = {}
    killed: set[int] = set()
    one_at_a_time = Lock()  # requests come in threads

    def before(method: str, path: str) -> int | None:
        if method != "PUT" or tmp_path.name not in path:
            return None
        version = path.partition("/versions/")[2].partition("/")[0]
        with one_at_a_time:
            if begun_by.get(version) in killed:
                return 503  # sent at once with the one at which it was killed
            process, point, taken = map(int, (tmp_path / "writer").read_text().split())
            if version not in ("", first):
                begun_by[version] = process
            writes[process].add(path)
            if len(writes[process]) < point:
                return None
            os.kill(process, signal.SIGKILL)
            killed.add(process)
            return None if taken else 503

    seen: list[list[str]] = []
    failed: list[BaseException] = []
    over = Event()

    def read() -> None:
        try:
            while not over.wait(0.2):
                pull(place, tmp_path / "read")
                seen.append(marks(tmp_path / "read"))
        except BaseException as error:  # noqa: BLE001 -- told below
            failed.append(error)

    objects.before = before
    reader = Thread(target=read)
    reader.start()
    try:
        ended = forked(
            programs,
            imports="import os, s3fs\nfrom pathlib import Path\nfrom store.remote.places import files_at\n"
            "from store.remote.releases import push",
            folder=tmp_path,
            environment={"PYTHONPATH": str(ROOT)},
        )
    finally:
        over.set()
        reader.join()
    objects.forget()
    assert failed == []
    assert {name: each.code for name, each in ended.items()} == dict.fromkeys(programs, -signal.SIGKILL)
    assert all(len(each) == 6 and len(set(each)) == 1 for each in seen), "never of two"
    assert {each[0] for each in seen} <= {"before", "10-True"}
    pull(place, tmp_path / "read")
    assert marks(tmp_path / "read") == ["10-True"] * 6
    push(tmp_path / "10-False", place)
    pull(place, tmp_path / "read")
    assert marks(tmp_path / "read") == ["10-False"] * 6, "what was killed is pushed again"
    assert len(versions(place)) == 12
    push(tmp_path / "before", place, grace=AT_ONCE)
    assert len(versions(place)) == 1, "what was left unfinished is swept, too"


def test_versions_are_swept_a_grace_time_after_they_were_replaced(
    tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    first = push(filled(tmp_path / "a", "one"), place)
    objects.age(first, timedelta(hours=100))
    second = push(filled(tmp_path / "a", "two"), place)
    assert versions(place) == {first, second}, "it was current until now"
    objects.age(first, timedelta(hours=23))
    third = push(filled(tmp_path / "a", "three"), place)
    assert versions(place) == {first, second, third}
    objects.age(first, timedelta(hours=2))
    push(tmp_path / "a", place)
    assert versions(place) == {second, third}
    objects.age(second, timedelta(hours=100))
    assert push(filled(tmp_path / "a", "two"), place) == second, "pushed again, it is current, and stays"
    assert versions(place) == {second, third}


def test_a_reader_whose_version_is_swept_has_the_next(
    tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    push(filled(tmp_path / "a", "one"), place)
    filled(tmp_path / "b", "two")
    replaced = []

    def before(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/files/part0/0.txt?") and not replaced:
            replaced.append(path)
            push(tmp_path / "b", place, grace=AT_ONCE)

    objects.before = before
    pull(place, tmp_path / "pulled")
    assert replaced
    assert marks(tmp_path / "pulled") == ["two"] * 6


def test_what_is_wrong_there_is_told(tmp_path: Path, place: ObjectFiles) -> None:
    with pytest.raises(ArtifactMissingError, match="Nothing was pushed to s3://"):
        pull(place, tmp_path / "pulled")
    with pytest.raises(ArtifactMissingError, match="holds nothing to push"):
        push(tmp_path / "nothing", place)
    (filled(tmp_path / "strange", "one") / "all*.txt").touch()
    with pytest.raises(UserError, match=r"all\*\.txt has a name that stands for others"):
        push(tmp_path / "strange", place)
    version = push(filled(tmp_path / "a", "one"), place)
    name = f"versions/{version}/files/part0/0.txt"
    place.write(name, b"two 0")
    with pytest.raises(
        DamagedArtifactError, match=r"part0/0\.txt is not what was pushed; remove it there, and"
    ):
        pull(place, tmp_path / "pulled")
    place.remove(name)
    with pytest.raises(DamagedArtifactError, match="lacks a file of its version"):
        pull(place, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    push(tmp_path / "a", place)
    pull(place, tmp_path / "pulled")
    listing = place.read(f"versions/{version}/files.json") or b""
    for wrong in (b"{}", listing.replace(b"part0/0", b"../../0"), listing.replace(b"part0/0", b"part0/7")):
        place.write(f"versions/{version}/files.json", wrong)
        with pytest.raises(DamagedArtifactError, match=r"files\.json is damaged"):
            pull(place, tmp_path / "pulled")
    later = b'{"format_version":9,"version":"' + b"0" * 64 + b'"}'
    for pointer, error in (
        (b"{", DamagedArtifactError),
        (later, UserError),
    ):
        place.write("current.json", pointer)
        with pytest.raises(error):
            pull(place, tmp_path / "pulled")
    assert marks(tmp_path / "pulled") == ["one"] * 6, "what was pulled stays"


def test_a_folder_that_was_not_pulled_is_not_replaced(tmp_path: Path, place: ObjectFiles) -> None:
    push(filled(tmp_path / "a", "one"), place)
    with pytest.raises(UserError, match="was not pulled and would be replaced"):
        pull(place, tmp_path / "a")
    (tmp_path / "empty").mkdir()
    pull(place, tmp_path / "empty")
    assert marks(tmp_path / "empty") == marks(tmp_path / "a")


def test_a_bucket_that_refuses_leaves_the_version_that_was_current(
    tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    version = push(filled(tmp_path / "a", "one"), place)
    objects.before = lambda method, path: 403 if method == "PUT" and "part1" in path else None
    with pytest.raises(UserError, match=r"cannot be used \(PermissionError"):
        push(filled(tmp_path / "a", "two"), place)
    assert current(place) == version
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_the_command_pushes_and_pulls(
    tmp_path: Path, place: ObjectFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(filled(tmp_path / "a", "one")), str(place)]) == 0
    assert main(["pull", str(place), str(tmp_path / "b")]) == 0
    version = current(place)
    assert version is not None
    assert f"b: version {version[:12]} of {place}" in capsys.readouterr().out
    for wrong, said in (("s4://x/y", "'s4:' is not supported"), (str(tmp_path), "is a folder")):
        assert main(["push", str(tmp_path / "a"), wrong]) == 2
        assert said in capsys.readouterr().err
