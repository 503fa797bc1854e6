"""Texts of token ids: stored as they are, and one rule for ids without any."""

import json
from pathlib import Path

import pytest

from store import ArtifactMissingError, DamagedArtifactError
from store.documents.token_texts import read_token_texts, token_text, write_token_texts

TEXTS = ["<bos>", " the", "ä\n", ""]


def test_texts_come_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    write_token_texts(path, TEXTS)
    assert read_token_texts(path) == TEXTS
    assert path.read_text(encoding="utf-8") == json.dumps(TEXTS, ensure_ascii=False, indent=0) + "\n"


@pytest.mark.parametrize(("token", "text"), [(1, " the"), (2, "ä\n"), (3, "#3"), (4, "#4"), (-1, "#-1")])
def test_an_id_without_text_is_shown_by_its_number(token: int, text: str) -> None:
    assert token_text(TEXTS, token) == text


@pytest.mark.parametrize("content", ["[1, 2]", '{"a": "b"}', '["a"', "[null]"])
def test_what_is_no_list_of_texts_is_damaged(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DamagedArtifactError, match=r"vocabulary\.json .*`dvc checkout --force` restores it"):
        read_token_texts(path)


def test_texts_that_are_not_there_name_the_command(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissingError, match="`dvc repro` makes it"):
        read_token_texts(tmp_path / "vocabulary.json")
