"""What people, disks and other pushes do to a release: nothing made here is lost, and a push mends."""

import errno
import os
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from store.__main__ import main
from store.base.errors import DamagedArtifactError, UserError
from store.remote.places import ObjectFiles
from store.remote.releases import GRACE, pull, push
from store.remote.versions import current
from tests.support.marked import AT_ONCE, filled, marks, versions
from tests.support.object_store import ObjectStore


def refused(number: int, name: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), name)


def test_what_was_made_in_a_pulled_folder_stays(tmp_path: Path, place: ObjectFiles) -> None:
    push(filled(tmp_path / "a", "one"), place)
    pulled = tmp_path / "pulled"
    pull(place, pulled)
    push(filled(tmp_path / "a", "two"), place)
    mine = pulled / "part0" / "notes.md"
    mine.write_text("mine")
    with pytest.raises(
        UserError, match=r"part0/notes\.md was made here since it was pulled; move it away, or"
    ):
        pull(place, pulled)
    mine.rename(tmp_path / "notes.md")
    changed = pulled / "part1" / "1.txt"
    changed.write_text("own 1")
    with pytest.raises(UserError, match=r"part1/1\.txt was changed here since it was pulled; move it away"):
        pull(place, pulled)
    assert changed.read_text() == "own 1"
    changed.unlink()
    (pulled / ".DS_Store").touch()
    pull(place, pulled)
    assert marks(pulled) == ["two"] * 6
    (pulled / ".pulled").write_text(current(place) or "")
    with pytest.raises(UserError, match="was not pulled and would be replaced"):
        pull(place, pulled)


def test_what_is_made_during_a_download_stays(
    tmp_path: Path, place: ObjectFiles, objects: ObjectStore
) -> None:
    push(filled(tmp_path / "a", "one"), place)
    pulled = tmp_path / "pulled"
    pull(place, pulled)
    push(filled(tmp_path / "a", "two"), place)

    def before(method: str, path: str) -> None:
        if "/files/" in path:
            (pulled / "notes.md").write_text("mine")

    objects.before = before
    with pytest.raises(UserError, match=r"notes\.md was made here"):
        pull(place, pulled)
    assert (pulled / "notes.md").read_text() == "mine"
    assert marks(pulled) == ["one"] * 6


def test_a_disk_without_links_is_pulled_to_twice(
    tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(one: str, other: str) -> None:
        raise refused(errno.EPERM, other)

    monkeypatch.setattr(os, "link", no_link)
    push(filled(tmp_path / "a", "one", count=2), place)
    pull(place, tmp_path / "pulled")
    push(filled(tmp_path / "a", "two", count=1), place)
    pull(place, tmp_path / "pulled")
    assert marks(tmp_path / "pulled") == ["two", "one"], "of which the second did not travel"


@pytest.mark.parametrize("pointer", [b"{", b'{"format_version":0}', b'{"format_version":1,"version":"x"}'])
def test_a_push_mends_a_damaged_pointer(tmp_path: Path, place: ObjectFiles, pointer: bytes) -> None:
    push(filled(tmp_path / "a", "one", count=1), place)
    place.write("current.json", pointer)
    with pytest.raises(DamagedArtifactError, match=r"current\.json is damaged; push again"):
        pull(place, tmp_path / "pulled")
    version = push(tmp_path / "a", place)
    assert pull(place, tmp_path / "pulled") == version


def test_a_pointer_of_a_later_version_is_refused_whatever_else_it_says(
    tmp_path: Path, place: ObjectFiles
) -> None:
    later = b'{"format_version":9,"parts":["0"],"version":7}'
    place.write("current.json", later)
    for attempt in (
        lambda: pull(place, tmp_path / "pulled"),
        lambda: push(filled(tmp_path / "a", "one", count=1), place),
    ):
        with pytest.raises(UserError, match="was pushed by a later version of this code; update it"):
            attempt()
    assert place.read("current.json") == later


def test_a_damaged_object_is_removed_and_pushed_again(tmp_path: Path, place: ObjectFiles) -> None:
    version = push(filled(tmp_path / "a", "one", count=1), place)
    name = f"versions/{version}/files/part0/0.txt"
    place.write(name, b"two 0")
    push(tmp_path / "a", place)
    with pytest.raises(
        DamagedArtifactError, match=rf"{place}/{name} is not what was pushed; remove it there"
    ):
        pull(place, tmp_path / "pulled")
    place.remove(name)
    push(tmp_path / "a", place)
    pull(place, tmp_path / "pulled")
    assert marks(tmp_path / "pulled") == ["one"]


@pytest.mark.parametrize("finished", [False, True])
def test_a_version_that_another_push_takes_up_is_not_swept(
    tmp_path: Path, place: ObjectFiles, objects: ObjectStore, finished: bool
) -> None:
    """The other push comes after the sweep has seen that the version is old, before it is removed."""
    first = push(filled(tmp_path / "first", "one", count=1), place)
    push(filled(tmp_path / "second", "two", count=1), place)
    objects.age(first, timedelta(hours=100))
    other: list[str] = []

    def before(method: str, path: str) -> None:
        if not other and (f"/versions/{first}" in path or "?delete" in path):
            other.append(path)
            if finished:
                push(tmp_path / "first", place)
            else:
                place.write(f"versions/{first}/touched", b"")

    objects.before = before
    third = push(filled(tmp_path / "third", "three", count=1), place, grace=AT_ONCE if finished else GRACE)
    assert other
    assert {first, third} <= versions(place)
    if finished:
        assert current(place) == first
        pull(place, tmp_path / "pulled")
        assert marks(tmp_path / "pulled") == ["one"]


def test_a_folder_beside_which_nothing_can_be_written_is_told(
    tmp_path: Path, place: ObjectFiles, monkeypatch: pytest.MonkeyPatch, objects: ObjectStore
) -> None:
    def read_only(**_: object) -> str:
        raise refused(errno.EROFS, str(tmp_path))

    filled(tmp_path / "a", "one", count=1)
    monkeypatch.setattr(tempfile, "mkdtemp", read_only)  # tests may run as root, who may write anywhere
    with pytest.raises(UserError, match=r"a cannot be pushed \(.*Read-only.*push a copy that lies where"):
        push(tmp_path / "a", place)
    assert objects.methods(tmp_path.name) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_what_this_machine_refuses_is_not_laid_to_the_bucket(
    tmp_path: Path,
    place: ObjectFiles,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    push(filled(tmp_path / "a", "one", count=1), place)

    def full(*_: object) -> None:
        raise refused(number)

    monkeypatch.setattr(place._client, "get", full)
    with pytest.raises(OSError, match=os.strerror(number)):
        pull(place, tmp_path / "pulled")
    assert main(["pull", str(place), str(tmp_path / "pulled")]) == 2
    said = capsys.readouterr().err
    assert os.strerror(number) in said
    assert "the disk has room" in said
    assert "the bucket" not in said
    assert not (tmp_path / "pulled").exists()
