"""A tag is added to one line of a person's file; nothing else of it changes."""

import json
from pathlib import Path

import pytest

from pipeline.prompts.keep import tag_prompt
from store.base.errors import UserError

LINES = [
    '{"prompt": "one",  "tags": ["full"]}',
    "",
    '{"prompt": "zwei ü", "domain": "medical"}',
    '{"prompt": "three"}',
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "inputs" / "prompts" / "mine.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("number", "tags"), [(1, ["full", "dose"]), (3, ["dose"]), (4, ["dose"])])
def test_one_line_gets_the_tag(tmp_path: Path, file: Path, number: int, tags: list[str]) -> None:
    for _ in range(2):  # once more changes nothing
        tag_prompt(f"inputs/prompts/mine.jsonl:{number}", "dose", tmp_path)
        now = file.read_text(encoding="utf-8").split("\n")
        row = json.loads(now.pop(number - 1))
        before = [*LINES, ""]
        assert row == json.loads(before.pop(number - 1)) | {"tags": tags}
        assert now == before


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("artifacts/organism/subject/pivotal.jsonl:3", "is written by a stage"),
        ("inputs/prompts/mine.jsonl:2", "is no prompt any more"),
        ("inputs/prompts/mine.jsonl:99", "is no prompt any more"),
        ("inputs/prompts/gone.jsonl:1", "is no prompt any more"),
        ("The typed prompt", "is no prompt any more"),
    ],
)
def test_what_cannot_be_tagged_is_said(tmp_path: Path, file: Path, source: str, says: str) -> None:
    whole = file.read_bytes()
    with pytest.raises(UserError, match=says):
        tag_prompt(source, "dose", tmp_path)
    assert file.read_bytes() == whole
