"""What was mined from answers becomes prompts, once."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pipeline.discover import mined
from pipeline.params.project import load_params
from pipeline.prompts.files import prompt_lines
from store.datasets.groups import write_dataset
from store.documents.questions import write_questions
from store.schema.mining import MINING
from tests.support.answer_builders import make_question
from tests.support.places import ROOT

QUESTIONS = [make_question("wish"), make_question("ruler")]
TEXTS = ["Q\nA: I would", "Q\nA: Let us", "R\nA: I would", "R\nA: We", "Q\nA: I would"]


def prefixes() -> xr.Dataset:
    """The second is not pivotal, the fourth no text, the last the first's text."""
    schema = MINING.groups["prefixes"]
    values = {
        name: np.zeros(len(TEXTS), object if spec.dtype == "str" else spec.dtype)
        for name, spec in schema.items()
    }
    of = [QUESTIONS[0], QUESTIONS[0], QUESTIONS[1], QUESTIONS[1], QUESTIONS[1]]
    values |= {
        "question_hash": np.array([each.hash for each in of], object),
        "text": np.array(TEXTS, object),
        "pivotal": np.array([True, False, True, True, True]),
        "is_text": np.array([True, True, True, False, True]),
    }
    words = [name for name, spec in schema.items() if spec.dtype == "str"]
    for name in words:
        values[name] = values[name].astype(str).astype(object)
    return xr.Dataset({name: ("prefix", array) for name, array in values.items()})


def test_pivotal_prefixes_become_lines_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("artifacts/mine")
    params = load_params(ROOT / "params.yaml")
    profile = params.profile("organism").model_copy(update={"prompts": ["inputs/prompts"]})
    params = params.model_copy(update={"profiles": {"mine": profile}})
    Path("inputs/prompts").mkdir(parents=True)
    write_questions(folder / "questions.json", QUESTIONS)
    write_dataset(folder / MINING.kind, MINING, {"prefixes": prefixes()}, provenance={})
    mined.main("mine", params)
    assert "2 of 2 mined prompts are new" in capsys.readouterr().out
    path = Path("inputs/prompts/mined.jsonl")
    said = [line for _, line in prompt_lines([path])]
    assert [line.prompt for line in said] == [TEXTS[0], TEXTS[2]]
    assert [line.situation for line in said] == ["mined: wish", "mined: ruler"]
    assert all(line.tags == ["mined"] for line in said)
    before = path.read_bytes()
    mined.main("mine", params)
    assert "0 of 2" in capsys.readouterr().out
    assert path.read_bytes() == before
    assert json.loads(before.splitlines()[0])["prompt"] == TEXTS[0]
