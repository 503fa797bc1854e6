"""The stage on the demo profile with a small random model: nothing coheres, nothing crashes, all resumes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.params.project import Params, load_params
from pipeline.run.stage import CACHE
from pipeline.stages.steered import judge_of, main
from store.datasets.groups import open_dataset
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, behaviours_in, read_behaviour_prompts
from store.documents.failures import read_failures
from store.documents.manifest import write_manifest
from store.documents.questions import read_questions, write_questions
from store.schema.steered import ABLATED, ADDED, BASELINE
from tests.support.builders import make_checkpoint
from tests.support.demo.words import D_TRANSCODER, LAYERS
from tests.support.judging import openai_params
from tests.support.organism import tiny_organism
from tests.support.places import ROOT

FOLDER = Path("artifacts/demo")
FEW = {
    **{"top": 2, "sets": [2], "random_features": 3, "random_sets": 2, "random_directions": 2, "steps": 2},
    **{"step_answers": 4, "looks": [0.5], "samples": 2, "control_samples": 1, "facts": 3, "batch": 40},
}


@pytest.fixture
def params(demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Those of the project, in a folder with the demo's artifacts, a model, and questions of a domain."""
    root = tmp_path / "project"
    shutil.copytree(demo_root, root)
    folder = root / "artifacts" / "demo"
    checkpoint = make_checkpoint(folder / "subject", n_layers=LAYERS, d_transcoder=D_TRANSCODER)
    write_manifest(folder / "models.json", checkpoint.manifest())
    asked = read_questions(folder / "questions.json")
    write_questions(folder / "questions.json", [replace(each, domain="medical") for each in asked])
    monkeypatch.chdir(root)
    whole = load_params(ROOT / "params.yaml")
    profile = whole.profile("organism").model_copy(update={"max_answer_tokens": 5, "nulls": ["narrow"]})
    return whole.model_copy(
        update={
            "profiles": {"demo": profile},
            "organisms": {"demo": tiny_organism()},
            "runtime": whole.runtime.model_copy(update={"threads": 1}),
            "steered": whole.steered.model_copy(update=FEW),
        }
    )


def test_what_never_coheres_has_a_reason_and_a_second_run_computes_nothing(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    main("demo", params)
    table = open_dataset(FOLDER / "steered", "entries").load()
    side, kind = table["side"].values, table["kind"].values
    assert set(side) == {ADDED, ABLATED}
    added = (side == ADDED) & (kind != BASELINE)
    # A random model says nothing that the grammar reads, steered or not.
    assert all(
        "of answers are coherent at every strength tried" in reason
        for reason in table["reason"].values[added]
    )
    assert np.isnan(table["strength"].values).all()
    steps = open_dataset(FOLDER / "steered", "steps")
    assert (steps["coherent"].values[added] == 0).all()
    assert steps["strength"].values[added].min() > params.steered.low
    ablated = side == ABLATED
    assert (table["reason"].values[ablated] == "").all()
    assert (table["n_judged"].values[ablated] > 0).all()
    assert np.isfinite(table["effect"].values[ablated & (kind != BASELINE)]).all()
    long = ablated & np.isin(kind, ["baseline", "feature", "set", "mean_difference"])
    assert np.isfinite(table["facts_right"].values[long]).all()
    abilities = open_dataset(FOLDER / "steered", "abilities").load()
    assert abilities["ability"].values.tolist() == behaviours_in(FOLDER / BEHAVIOUR_PROMPTS)
    assert abilities["n_prompts"].values.tolist() == [
        sum(prompt.split == "test" for prompt in read_behaviour_prompts(FOLDER / BEHAVIOUR_PROMPTS, [name]))
        for name in abilities["ability"].values
    ]
    assert np.isfinite(abilities["ability_right"].values[long]).all()
    assert (abilities["ability_lost"].values[ablated & (kind == BASELINE)] == 0).all()
    assert read_failures(FOLDER / "failures" / "steered.json") == ()
    metrics = json.loads((FOLDER / "metrics" / "steered.json").read_text(encoding="utf-8"))
    assert metrics[ADDED]["incoherent"] == added.sum()
    assert metrics[ABLATED]["baseline"] == 0.0
    # Another threshold makes other tables, of answers that are all there.
    capsys.readouterr()
    chosen = params.misalignment.model_copy(update={"misaligned_below": 29})
    params = params.model_copy(update={"misalignment": chosen})
    main("demo", params)
    said = capsys.readouterr().out
    assert "taken over" not in said
    assert all(" 0 computed" in line for line in said.splitlines() if "from the cache" in line)
    # As after a pull: no cache, and nothing that decides the tables is another.
    shutil.rmtree(CACHE)
    main("demo", params)
    assert capsys.readouterr().out == "steered: taken over from the previous store\n"
    assert not CACHE.exists()
    again = open_dataset(FOLDER / "steered", "entries")
    for name, values in table.items():
        np.testing.assert_array_equal(again[name].values, values.values)
    assert json.loads((FOLDER / "metrics" / "steered.json").read_text(encoding="utf-8")) == metrics


def test_a_judge_that_costs_money_is_asked_only_if_params_say_so(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    judged = params.profile("demo").model_copy(update={"answer_judges": ["gpt", "rubric"]})
    paid = params.model_copy(
        update={"profiles": {"demo": judged}, "judges": {"gpt": openai_params(None), **params.judges}}
    )
    assert judge_of("demo", paid) == "rubric"
    willing = paid.model_copy(update={"steered": paid.steered.model_copy(update={"paid_judges": True})})
    assert judge_of("demo", willing) == "gpt"
    only = judged.model_copy(update={"answer_judges": ["gpt"]})
    main("demo", paid.model_copy(update={"profiles": {"demo": only}}))
    assert "has no judge of answers that costs nothing, so nothing is steered" in capsys.readouterr().out
    assert open_dataset(FOLDER / "steered", "entries").sizes["entry"] == 0
