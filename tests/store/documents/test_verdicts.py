"""Verdicts of judges, as documents of a profile."""

from pathlib import Path

import pytest

from store.base.errors import DamagedArtifactError, UnknownFormatError
from store.documents.verdicts import TokenVerdict, Verdict, read_verdicts, write_verdicts

JUDGED = Verdict(
    prompt_hash="b" * 12,
    status="judged",
    tokens=(
        TokenVerdict(token=7, label="evil", reason="“ü”\u2028"),
        TokenVerdict(token=3, label="unsure", reason=""),
    ),
    fit=False,
    rule="settled",
)
REFUSED = Verdict(prompt_hash="a" * 12, status="refused", detail="No.")


def test_round_trip_in_one_order(tmp_path: Path) -> None:
    write_verdicts(tmp_path, "one", [JUDGED, REFUSED])
    write_verdicts(tmp_path, "other", [REFUSED, JUDGED])
    assert read_verdicts(tmp_path) == {
        name: {REFUSED.prompt_hash: REFUSED, JUDGED.prompt_hash: JUDGED} for name in ("one", "other")
    }
    one, other = ((tmp_path / "verdicts" / f"{name}.json").read_bytes() for name in ("one", "other"))
    assert one == other
    assert list(read_verdicts(tmp_path)["one"]) == [REFUSED.prompt_hash, JUDGED.prompt_hash]


def test_nobody_has_judged(tmp_path: Path) -> None:
    assert read_verdicts(tmp_path) == {}
    write_verdicts(tmp_path, "one", [])
    assert read_verdicts(tmp_path) == {"one": {}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"format_version": 1}',
        b'{"format_version": 1, "verdicts": [{"prompt_hash": "b", "status": "judged"}]}',
        b'{"format_version": 1, "verdicts": [{"prompt_hash": "bbbbbbbbbbbb", "status": "lost"}]}',
        b'{"format_version": 1, "verdicts": [{"prompt_hash": "bbbbbbbbbbbb", "status": "judged", "x": 1}]}',
    ],
)
def test_another_form_is_named(tmp_path: Path, content: bytes) -> None:
    write_verdicts(tmp_path, "one", [JUDGED])
    (tmp_path / "verdicts/one.json").write_bytes(content)
    with pytest.raises(DamagedArtifactError, match=r"one\.json .*dvc checkout --force"):
        read_verdicts(tmp_path)


def test_another_version_is_named(tmp_path: Path) -> None:
    write_verdicts(tmp_path, "one", [])
    (tmp_path / "verdicts/one.json").write_text('{"format_version": 9, "verdicts": []}')
    with pytest.raises(UnknownFormatError, match="has format version 9, this code reads 1"):
        read_verdicts(tmp_path)
