"""One flipped bit in any file of a profile is found and named, and refused where it is read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from store import DamagedArtifactError
from store.__main__ import main
from store.base.checksums import remove_checksums, write_checksums
from store.collections.writer import write_collection
from store.documents.failures import read_failures, write_failures
from store.documents.reading import read_recorded
from store.documents.token_texts import read_token_texts, write_token_texts
from store.format.integrity import find_artifacts, verify_files
from store.schema.candidates import CANDIDATES
from tests.support.random_items import make_items


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """What two stages wrote: weights, a collection, documents, a table."""
    folder = tmp_path / "artifacts" / "organism"
    weights = folder / "subject" / "base" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "plots").mkdir()
    (folder / "plots" / "organism.csv").write_text("step,loss\n1,2.5\n")
    write_checksums(folder, "organism", [folder / "subject" / "base", folder / "plots" / "organism.csv"])
    write_collection(folder / "candidates", CANDIDATES, make_items(CANDIDATES, 3), provenance={})
    write_token_texts(folder / "vocabulary.json", ["a", "b"])
    write_failures(folder / "failures" / "graphs.json", [])
    names = ("candidates", "vocabulary.json", "failures/graphs.json", "checksums/graphs.json")
    write_checksums(folder, "graphs", [folder / name for name in names])
    return folder


def _plain(profile: Path) -> list[Path]:
    return sorted(path for path in profile.rglob("*") if path.is_file() and "candidates" not in path.parts)


def test_whole_files_are_ok(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(profile.parent)]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        f"{profile / 'candidates'}: ok",
        f"{profile.parent}, 4 other files: ok",
    ]
    assert not printed.err


def test_one_flipped_bit_in_any_file_is_named(profile: Path) -> None:
    random = np.random.default_rng(1)
    files = _plain(profile)
    assert len(files) == 6
    for path in files:
        whole = path.read_bytes()
        for _ in range(8):
            bit = int(random.integers(8 * len(whole)))
            content = bytearray(whole)
            content[bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
            damage = verify_files(profile).damage
            # A digest with another digit blames its file; a name with another letter is missing.
            assert any(path.name in line or path.parent.name == "checksums" for line in damage), (path, bit)
        path.write_bytes(whole)
    assert not verify_files(profile).damage


def test_missing_and_new_files_are_told_apart(profile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (profile / "vocabulary.json").unlink()
    (profile / "notes.txt").write_text("mine")
    assert main(["verify", str(profile)]) == 1
    printed = capsys.readouterr()
    assert f"{profile / 'vocabulary.json'} is missing" in printed.out
    assert f"{profile / 'notes.txt'}: under no checksum." in printed.err


@pytest.mark.parametrize("name", ["vocabulary.json", "plots", "checksums"])
def test_a_part_is_checked_by_itself(profile: Path, name: str) -> None:
    assert main(["verify", str(profile / name)]) == (2 if name == "checksums" else 0)
    for path in (profile / "vocabulary.json", profile / "plots" / "organism.csv"):
        path.write_bytes(path.read_bytes().replace(b"a", b"A").replace(b"2.5", b"3.5"))
    assert main(["verify", str(profile / name)]) == (2 if name == "checksums" else 1)


READERS: dict[str, Callable[[Path], object]] = {
    "vocabulary.json": read_token_texts,
    "failures/graphs.json": read_failures,
    "plots/organism.csv": read_recorded,
}


@pytest.mark.parametrize("name", READERS)
def test_an_altered_document_is_refused_where_it_is_read(profile: Path, name: str) -> None:
    path = profile / name
    READERS[name](path)
    path.write_bytes(path.read_bytes() + b"\n")  # of the same form still
    with pytest.raises(
        DamagedArtifactError, match=rf"{path.name} is not what stage \w+ wrote; `dvc checkout"
    ):
        READERS[name](path)
    # A stage that begins removes its checksums: what it writes is checked against nothing until it ends.
    for stage in ("organism", "graphs"):
        remove_checksums(profile, stage)
    READERS[name](path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret", "a/../../b", ".", ""])
def test_checksums_name_nothing_outside_of_their_folder(profile: Path, name: str) -> None:
    path = profile / "checksums" / "other.json"
    path.write_text(json.dumps({"format_version": 1, "files": {name: "0" * 64}}))
    assert f"{path} is damaged" in verify_files(profile).damage[0]


@pytest.mark.parametrize("name", ["x" * 256, "ä" * 128, "a/" * 1000 + "a"])
def test_a_name_that_no_file_has_is_damage_and_no_traceback(profile: Path, name: str) -> None:
    path = profile / "checksums" / "other.json"
    path.write_text(json.dumps({"format_version": 1, "files": {name: "0" * 64}}))
    (line,) = verify_files(profile).damage
    assert f"{path} is damaged" in line
    assert "too long" in line


def test_artifacts_are_no_plain_files(profile: Path) -> None:
    assert find_artifacts(profile) == [profile / "candidates"]
    files = json.loads((profile / "checksums" / "graphs.json").read_text())["files"]
    assert list(files) == ["failures/graphs.json", "vocabulary.json"]
