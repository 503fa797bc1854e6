"""What a stage could not compute, as a document."""

from pathlib import Path

import pytest

from store.base.errors import ArtifactMissingError, DamagedArtifactError, UnknownFormatError
from store.documents.failures import Failure, read_failures, write_failures

ONE = Failure(
    prompt_hash="b" * 12, variants=("base", "general@1.0"), layer=1, position=2, token=7, reason="Lost.“ü”"
)
OTHER = Failure(prompt_hash="a" * 12, variants=("base",), layer=None, position=None, token=None, reason="x")


def test_round_trip_in_one_order(tmp_path: Path) -> None:
    path, again = tmp_path / "graphs.json", tmp_path / "again.json"
    write_failures(path, [ONE, OTHER])
    write_failures(again, [OTHER, ONE])
    assert read_failures(path) == (OTHER, ONE)
    assert path.read_bytes() == again.read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format_version": 1, "failures": [{"prompt_hash": 3}]}',
        b"[" * 10**5,
    ],
)
def test_another_form_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "graphs.json"
    path.write_bytes(content)
    with pytest.raises(
        DamagedArtifactError, match=r"graphs\.json (is not|has another form) .*dvc checkout --force"
    ):
        read_failures(path)


def test_another_version_and_none(tmp_path: Path) -> None:
    path = tmp_path / "graphs.json"
    path.write_text('{"format_version": 9, "failures": []}')
    with pytest.raises(UnknownFormatError, match="has format version 9, this code reads 1"):
        read_failures(path)
    with pytest.raises(ArtifactMissingError, match="does not exist yet"):
        read_failures(tmp_path / "absent.json")
