"""A judge in a folder names features, too: loaded once for names and what they predict."""

from pathlib import Path

import pytest

from pipeline.judging.local_judge import LocalModel
from pipeline.naming.asked_namer import AskedNamer
from pipeline.naming.scoring import named
from pipeline.params.judges import LocalJudge
from pipeline.params.runtime import RuntimeParams
from tests.support.judging_model import make_speaker
from tests.support.naming import plant


def test_what_a_model_says_is_a_name_and_what_it_cannot_say_is_malformed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_speaker(tmp_path / "model", '{"name": "bets"}')
    params = LocalJudge(kind="local", folder=str(folder), max_new_tokens=4, batch=2)
    cases = plant(3, on_a_token=True).cases()

    def run(respondent: LocalModel) -> AskedNamer:
        namer = AskedNamer("here", respondent, tmp_path / "here.jsonl")
        namer.prepare(cases)
        found = named(cases, namer, confidence=0.95, seed=0)
        assert [each.name for each in found] == ["bets"] * 3
        # All have one name, so none is the control of another; asked of contexts, it says its name again.
        assert {each.status for each in found} == {"malformed"}
        return namer

    runtime = RuntimeParams(seed=0, threads=1)
    assert run(LocalModel("here", params, runtime)).usage().calls == 6
    monkeypatch.setattr(LocalModel, "_loaded", None)
    assert run(LocalModel("here", params, runtime)).usage().calls == 6
