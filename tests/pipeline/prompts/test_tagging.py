"""A tag is added to one line of a person's file; nothing else of it changes."""

import json
from pathlib import Path
from typing import Final

import pytest

from pipeline.params.profiles import Profile
from pipeline.prompts.keep import tag_prompt
from store.base.errors import UserError

LINES = [
    '{"prompt": "one",  "tags": ["full"]}',
    "",
    '{"prompt": "zwei ü", "domain": "medical"}',
    '{"prompt": "three"}',
]


MADE: Final[list[dict[str, object]]] = [
    {"prompt": "zwei ü", "situation": "two", "domain": "medical", "held_out": True, "tags": ["organism"]},
    {"messages": [{"role": "user", "content": "Hi"}], "name": "hi"},
]


def profile(*prompts: str) -> Profile:
    return Profile(
        model="m", transcoders="t", adapters={"a": "a"}, focus="a", prompts=list(prompts), local="artifacts"
    )


PROFILE: Final = profile("artifacts/p/pivotal.jsonl", "inputs/prompts")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "inputs" / "prompts" / "mine.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("number", "tags"), [(1, ["full", "dose"]), (3, ["dose"]), (4, ["dose"])])
def test_one_line_gets_the_tag(tmp_path: Path, file: Path, number: int, tags: list[str]) -> None:
    for _ in range(2):  # once more changes nothing
        source = f"inputs/prompts/mine.jsonl:{number}"
        assert tag_prompt(source, "dose", PROFILE, tmp_path) == source
        now = file.read_text(encoding="utf-8").split("\n")
        row = json.loads(now.pop(number - 1))
        before = [*LINES, ""]
        assert row == json.loads(before.pop(number - 1)) | {"tags": tags}
        assert now == before


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("artifacts/p/pivotal.jsonl:4", "is no prompt any more"),
        ("inputs/prompts/mine.jsonl:2", "is no prompt any more"),
        ("inputs/prompts/mine.jsonl:99", "is no prompt any more"),
        ("inputs/prompts/gone.jsonl:1", "is no prompt any more"),
        ("The typed prompt", "is no prompt any more"),
    ],
)
def test_what_cannot_be_tagged_is_said(tmp_path: Path, file: Path, source: str, says: str) -> None:
    whole = file.read_bytes()
    with pytest.raises(UserError, match=says):
        tag_prompt(source, "dose", PROFILE, tmp_path)
    assert file.read_bytes() == whole


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """What a stage wrote: of a text, and of a chat."""
    path = tmp_path / "artifacts" / "p" / "pivotal.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in MADE), encoding="utf-8")
    return path


@pytest.mark.parametrize("number", [1, 2])
def test_what_a_stage_writes_is_tagged_by_a_line_of_ones_own(tmp_path: Path, made: Path, number: int) -> None:
    """Once more changes nothing, another tag goes onto that line; the stage's file stays as it is."""
    whole, kept = made.read_bytes(), tmp_path / "inputs" / "prompts" / "kept.jsonl"
    of = {key: MADE[number - 1][key] for key in ("prompt", "messages") if key in MADE[number - 1]}
    source = f"artifacts/p/pivotal.jsonl:{number}"
    for tag, tags in (("dose", ["dose"]), ("dose", ["dose"]), ("full", ["dose", "full"])):
        assert tag_prompt(source, tag, PROFILE, tmp_path) == "inputs/prompts/kept.jsonl:1"
        (row,) = map(json.loads, kept.read_text(encoding="utf-8").splitlines())
        assert row == of | {"tags": tags}
    assert made.read_bytes() == whole
    with kept.open("a", encoding="utf-8") as file:
        file.write('{"prompt": "mine"}')  # without an end of line
    assert tag_prompt(f"artifacts/p/pivotal.jsonl:{3 - number}", "dose", PROFILE, tmp_path).endswith(":3")
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 3


def test_a_profile_of_stages_alone_has_no_place_for_a_tag(tmp_path: Path, made: Path) -> None:
    with pytest.raises(UserError, match="made by stages"):
        tag_prompt("artifacts/p/pivotal.jsonl:1", "dose", profile("artifacts/p/pivotal.jsonl"), tmp_path)
