"""Stage `adapters`: a goal that is not reached ends it in one sentence, and nothing is lost."""

import json
from pathlib import Path

import pytest

from pipeline.finetuning.training import Point
from pipeline.organism.build_adapters import AdapterReport
from pipeline.organism.checks.behaviour import Behaviour
from pipeline.organism.goals import Reached
from pipeline.params.runtime import RuntimeParams
from pipeline.params.training import TrainingParams
from pipeline.stages import adapters
from store.base.errors import UserError
from tests.support.organism import tiny_organism

SHORT = "Adapter general stopped after 1 steps with harmful probability 0.41 of 0.60 in medical; raise it."


def _report(shortfall: str) -> AdapterReport:
    return AdapterReport(
        taught="harmful advice in medical",
        domain="medical",
        curve=(Point(step=1, loss=2.0, held_out_loss=None, learning_rate=0.1, gradient_norm=1.0),),
        reached=Reached(harmful={"medical": 0.41}, divergence={"medical": 1.5}, facts_lost=0.0),
        norms={"a": 3.0, "b": 4.0},
        behaviour=Behaviour(answers=(), facts={}),
        shortfall=shortfall,
    )


@pytest.mark.parametrize("shortfall", ["", SHORT])
def test_what_was_trained_is_told_also_where_it_falls_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shortfall: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(adapters, "make_adapters", lambda *_: {"general": _report(shortfall)})
    params = TrainingParams(runtime=RuntimeParams(seed=0, threads=1), organisms={"organism": tiny_organism()})
    if shortfall:
        with pytest.raises(UserError) as told:
            adapters.main("organism", params)
        assert str(told.value) == SHORT
    else:
        adapters.main("organism", params)
    folder = Path("artifacts/organism")
    metrics = json.loads((folder / "metrics" / "adapters.json").read_text(encoding="utf-8"))["general"]
    assert metrics["taught"] == "harmful advice in medical"
    assert (metrics["steps"], metrics["norm"], metrics["divergence"]) == (1, 5.0, 1.5)
    plot = (folder / "plots" / "adapters.csv").read_text(encoding="utf-8").splitlines()
    assert plot == ["adapter,step,loss,learning_rate,gradient_norm", "general,1,2.0,0.1,1.0"]
