"""Files behave the same in a folder and in object storage, and no other place is taken for a folder."""

import os
import sys
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from store.base.errors import UserError
from store.remote import places
from store.remote.folders import Files, FolderFiles
from store.remote.places import ObjectFiles, files_at
from tests.support.object_store import BUCKET, ObjectStore

PLACE = f"s3://{BUCKET}/team/emc"


@pytest.fixture(params=["folder", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "folder":
        return files_at(f"file://{tmp_path}/with%20space")
    request.getfixturevalue("objects")
    return files_at(PLACE)


def test_what_is_written_is_there_until_it_is_removed(files: Files) -> None:
    assert files.read("a/b/c.json") is None
    assert not files.holds("a/b/c.json")
    assert not files.holds("a/b/c.json", now=False)
    files.write("a/b/c.json", b"one")
    files.write("a/b/c.json", b"\0two\xff")
    files.write("a/b/empty", b"")
    assert files.read("a/b/c.json") == b"\0two\xff"
    assert files.read("a/b/empty") == b""
    assert files.holds("a/b/c.json")
    assert files.holds("a/b/c.json", now=False)
    assert not files.holds("a/b/c"), "no part of a name is a name"
    files.remove("a/b/c.json")
    files.remove("a/b/c.json")
    assert files.read("a/b/c.json") is None
    assert not files.holds("a/b/c.json", now=False)


def test_hidden_folders_of_a_folder_hold_no_files_of_it(tmp_path: Path) -> None:
    for name in (".x.aside/a/b", "k/2", "k/1", "a", "k/.lock"):
        FolderFiles(tmp_path).write(name, b"12")
    facts = FolderFiles(tmp_path).facts()
    assert list(facts) == ["a", "k/.lock", "k/1", "k/2"]
    assert {each.size for each in facts.values()} == {2}
    assert FolderFiles(tmp_path / "none").facts() == {}


def test_objects_are_listed_below_a_name_and_not_beside_it(objects: ObjectStore) -> None:
    files, beside = files_at(PLACE), files_at(f"{PLACE}-other")
    assert isinstance(files, ObjectFiles)
    assert list(files.listed()) == []
    for name in ("b/2", "b/1", "bb/3", "4"):
        files.write(name, b"")
    beside.write("b/5", b"")
    assert list(files.listed()) == ["4", "b/1", "b/2", "bb/3"]
    assert list(files.listed("b")) == ["b/1", "b/2"]
    assert objects.names() == ["team/emc-other/b/5", *(f"team/emc/{name}" for name in list(files.listed()))]


def test_a_file_is_read_and_written_by_one_request(objects: ObjectStore) -> None:
    files = files_at(PLACE)
    files.write("a", b"1")
    assert files.read("a") == b"1"
    assert objects.methods("team/emc") == ["PUT", "GET"]


def test_one_listing_answers_for_a_minute(objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files, other = files_at(PLACE), files_at(PLACE)
    other.write("kind/0", b"")
    objects.requests.clear()
    assert [files.holds(f"kind/{number}", now=False) for number in range(50)] == [True] + [False] * 49
    assert len(objects.methods("team/emc")) == 1
    other.write("kind/1", b"")
    assert not files.holds("kind/1", now=False)
    assert files.holds("kind/1"), "who must know asks"
    monkeypatch.setattr(places, "_LISTED_FOR", -1.0)
    assert files.holds("kind/1", now=False)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s4://bucket/x", "'s4:' is not supported; write a folder, file:///folder, s3://"),
        ("ftp://user:secret@host/x", "'ftp:' is not supported"),
        ("https://bucket.s3.amazonaws.com/x", "'https:' is not supported"),
        ("memory://x", "'memory:' is not supported"),
        ("file://host/x", "names no folder of this machine"),
        ("file:x", "names no folder of this machine"),
        ("s3:bucket/x", "is written s3://bucket/prefix, without credentials"),
        ("s3:/bucket/x", "is written s3://bucket/prefix"),
        ("s3://", "is written s3://bucket/prefix"),
        ("s3://key:secret@bucket/x", "is written s3://bucket/prefix, without credentials"),
        ("s3://bucket/x?versionId=1", "is written s3://bucket/prefix"),
        ("s3://bucket//x", "is written s3://bucket/prefix"),
        ("s3://bucket/a b", "is written s3://bucket/prefix"),
        ("s3://bucket/all*", "is written s3://bucket/prefix"),
        ("s3://bucket/a[0]", "is written s3://bucket/prefix"),
        ("gs://bucket/x", "gs:// needs another package; `pip install gcsfs=="),
    ],
)
def test_another_place_is_refused_in_one_sentence_and_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, message: str
) -> None:
    if place.startswith("gs:"):
        monkeypatch.setitem(sys.modules, "gcsfs", None)  # as where it is not installed ...
        # ... and nothing has asked for it
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "gs", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        files_at(place)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["items", "/tmp/items", "../x", "C", "a b"])
def test_what_is_no_address_is_a_folder(place: str) -> None:
    assert files_at(place) == FolderFiles(Path(place))


def test_buckets_and_prefixes_are_read_as_they_are_written() -> None:
    assert files_at("s3://bucket") == files_at("s3://bucket/") == ObjectFiles("s3", "bucket")
    assert files_at("s3://b-1.x/team/emc/") == ObjectFiles("s3", "b-1.x/team/emc")
    assert str(files_at("s3://bucket/team/")) == "s3://bucket/team"


def test_a_busy_service_is_asked_again(objects: ObjectStore) -> None:
    left = [503, 500, 503]
    objects.before = lambda method, path: left.pop() if left else None
    files = files_at(PLACE)
    files.write("a", b"1")
    left += [503]
    assert files.read("a") == b"1"
    assert not left


@pytest.mark.parametrize("operation", ["require", "write", "read", "holds", "remove", "listed"])
def test_a_bucket_that_refuses_is_told_in_one_sentence(objects: ObjectStore, operation: str) -> None:
    objects.before = lambda method, path: 403
    files = files_at(PLACE)
    arguments = {"write": ("a", b""), "read": ("a",), "holds": ("a",), "remove": ("a",)}
    with pytest.raises(
        UserError, match=r"^s3://results/team/emc cannot be used \(PermissionError: .*allow it\.$"
    ):
        getattr(files, operation)(*arguments.get(operation, ()))


@pytest.mark.parametrize("held", [False, True])
def test_who_may_see_only_a_place_is_let_in(objects: ObjectStore, held: bool) -> None:
    files = files_at(PLACE)
    assert isinstance(files, ObjectFiles)
    if held:
        files.write("a", b"")
    objects.before = lambda method, path: None if "prefix=team/emc/" in path else 403
    objects.requests.clear()
    files.require()
    assert len(objects.methods("prefix=team/emc/")) == 1
    assert bool(objects.methods("prefix=&")) != held, "the bucket's root is listed only if nothing is there"


def test_a_bucket_that_is_not_there_is_told(objects: ObjectStore) -> None:
    missing = files_at("s3://nobody/x")
    assert isinstance(missing, ObjectFiles)
    with pytest.raises(UserError, match="s3://nobody/x cannot be used"):
        missing.require()


def test_a_service_without_credentials_is_told(objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    files = files_at(PLACE)
    assert isinstance(files, ObjectFiles)
    S3FileSystem.clear_instance_cache()
    try:
        with pytest.raises(UserError, match="Unable to locate credentials"):
            files.require()
    finally:
        S3FileSystem.clear_instance_cache()


def test_clients_see_nothing_of_the_users_environment(
    s3_server: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "the-users")
    found = s3_server.used(monkeypatch).environment()
    assert {name: value for name, value in os.environ.items() if name.startswith("AWS_")} == found
