"""``python -m store verify`` on what a shell's wildcard gives it."""

from pathlib import Path

import pytest

from store.__main__ import main
from store.collections.writer import write_collection
from store.schema.candidates import CANDIDATES
from tests.support.random_items import make_items


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A profile's folder: one artifact, one plain file, one folder of other files."""
    write_collection(tmp_path / "candidates", CANDIDATES, make_items(CANDIDATES, 3), provenance={})
    (tmp_path / "models.json").write_text("{}")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "health.json").write_text("{}")
    return tmp_path


def test_plain_files_are_said_and_the_rest_is_checked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(path) for path in sorted(folder.iterdir(), reverse=True)]
    assert main(["verify", *paths]) == 0
    printed = capsys.readouterr()
    assert f"{folder / 'candidates'}: ok" in printed.out
    for name in ("models.json", "metrics/health.json"):
        assert f"{folder / name}: under no checksum." in printed.err


def test_damage_beside_plain_files_is_found(folder: Path) -> None:
    chunk = next(
        path for path in (folder / "candidates").rglob("*") if path.is_file() and "json" not in path.name
    )
    chunk.write_bytes(chunk.read_bytes()[:-1])
    assert main(["verify", str(folder / "models.json"), str(folder / "candidates")]) == 1


def test_nothing_to_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(folder / "models.json"), str(folder / "absent")]) == 2
    assert f"{folder / 'absent'}: no artifact there" in capsys.readouterr().err


def test_list_of_what_is_no_artifact(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    says = {
        folder / "models.json": "is a file, and an artifact is a folder",
        folder / "candidates" / "zarr.json": "is a file, and an artifact is a folder",
        folder: f"holds 1 artifacts; name one, such as {folder / 'candidates'}",
        folder / "absent": "does not exist yet",
    }
    for path, words in says.items():
        assert main(["list", str(path)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"{path} {words}")
        assert said.count("\n") == 1
    assert main(["list", str(folder / "candidates")]) == 0


def test_an_interrupt_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("store.__main__.verify", interrupt)
    assert main(["verify", str(folder / "candidates")]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"
