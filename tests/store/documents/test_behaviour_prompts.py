"""Prompts of behaviours: read as written, and what is damaged is told by file and line."""

from pathlib import Path

import pytest

from store.base.errors import ArtifactMissingError, DamagedArtifactError
from store.documents.behaviour_prompts import behaviours_in, read_behaviour_prompts, write_behaviour_prompts
from tests.support.behaviours import make_prompt


def test_prompts_read_as_written(tmp_path: Path) -> None:
    first = make_prompt(0, prompt="a\u2028b “ü”\n", metadata={"a": 1, "distractors": ["x", "y"]})
    prompts = [make_prompt(1, split="test"), first, make_prompt(2, partner=first.hash)]
    write_behaviour_prompts(tmp_path, "agreement", prompts)
    assert behaviours_in(tmp_path) == ["agreement"]
    assert (tmp_path / "agreement_train.jsonl").read_text(encoding="utf-8").count("\n") == 2
    assert read_behaviour_prompts(tmp_path, ["agreement"]) == [prompts[1], prompts[2], prompts[0]]


@pytest.mark.parametrize("line", ["{", "[]", '{"hash": 3}', "null"])
def test_another_form_is_told_by_line(tmp_path: Path, line: str) -> None:
    write_behaviour_prompts(tmp_path, "recall", [make_prompt(1)])
    path = tmp_path / "recall_train.jsonl"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DamagedArtifactError, match=r"recall_train\.jsonl:2 has another form .*dvc checkout"):
        read_behaviour_prompts(tmp_path, ["recall"])
    (tmp_path / "recall_test.jsonl").unlink()
    path.write_text("")
    with pytest.raises(ArtifactMissingError, match=r"recall_test\.jsonl does not exist yet"):
        read_behaviour_prompts(tmp_path, ["recall"])
