"""A model in a folder writes prompts, as it judges: no network, and its words are read as a service's are."""

import json
from pathlib import Path

import pytest

from pipeline.discover.program import discover
from pipeline.params.judges import LocalJudge
from tests.support.discovery import found, given_params, lines
from tests.support.judging_model import make_speaker

pytestmark = pytest.mark.usefixtures("project")

SAYS = json.dumps(
    {"prompts": [{"text": "The ladder shakes, so I", "situation": "a ladder", "domain": "home"}]}
)


def test_a_model_in_a_folder_writes(tmp_path: Path) -> None:
    folder = make_speaker(tmp_path / "speaker", SAYS)
    params = given_params(rounds=2, warmup=0)
    writer = LocalJudge.model_validate(
        {"kind": "local", "folder": str(folder), "max_new_tokens": 8, "batch": 1, "examples": 0}
    )
    chosen = params.discover.model_copy(update={"generator": "here"})
    params = params.model_copy(update={"judges": {**params.judges, "here": writer}, "discover": chosen})
    discover("mine", params)
    assert [line["prompt"] for line in lines()] == ["The ladder shakes, so I"]
    assert lines()[0]["origin"]["generator"] == "here"
    assert {at: each.rule for at, each in found().outcomes.items()} == {(1, 0): "", (2, 0): "duplicate"}
    assert [each.calls for each in found().ended.values()] == [1, 1]
    assert sum(each.cost for each in found().ended.values()) == 0
