"""Stages `behaviour_prompts` and `baseline` on a small random subject: from words to PASS or FAIL."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from pipeline.behaviours.protocol import UNNAMED
from pipeline.params.project import Params
from pipeline.stages import baseline, behaviour_prompts
from store.base.errors import UserError
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset, read_provenance
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, read_behaviour_prompts
from store.documents.failures import read_failures
from store.documents.manifest import Manifest
from tests.support.behaviour_stages import FOLDER, NAMES, make_params, make_project
from tests.support.builders import Checkpoint


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> None:
    make_project(tmp_path, monkeypatch, manifest)


def params(*names: str, train: int = 6, **changes: object) -> Params:
    return make_params(*names, train=train, test=2, behaviours={"batch": 4} | changes)


def test_every_variant_is_measured_once(
    project: None, checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = params(*NAMES)
    behaviour_prompts.main("mine", chosen)
    baseline.main("mine", chosen)
    said = capsys.readouterr().out
    assert "forced_answers: 12 computed, 0 from the cache" in said
    assert "do not pass" in said, "a random model can do nothing"
    assert read_failures(FOLDER / "failures" / "baseline.json") == ()
    prompts = read_behaviour_prompts(FOLDER / BEHAVIOUR_PROMPTS, NAMES)
    assert len(prompts) == 16
    table = open_dataset(FOLDER / "behaviours", "prompts")
    assert table["prompt_hash"].values.tolist() == [each.hash for each in prompts]
    assert table["variant"].values.tolist() == ["base", "general@1.0", "narrow@1.0"]
    # One number of each behaviour, by Hugging Face alone.
    model = AutoModelForCausalLM.from_pretrained(checkpoint.base, dtype=torch.float32).eval()
    for row in (0, 15):
        one, means = prompts[row], []
        for answer in (one.correct_ids, one.incorrect_ids):
            with torch.no_grad():
                logits = model(torch.tensor([[*one.token_ids, *answer]])).logits[0].double()
            given = logits.log_softmax(-1)[len(one.token_ids) - 1 : -1]
            means.append(float(given[range(len(answer)), list(answer)].mean()))
        found = table.sel(variant="base").isel(prompt=row)
        np.testing.assert_allclose([float(found["correct"]), float(found["incorrect"])], means, atol=1e-5)
    metrics = json.loads((FOLDER / "metrics" / "baseline.json").read_text(encoding="utf-8"))
    assert {name: list(of) for name, of in metrics.items()} == {
        name: ["base", "general@1.0", "narrow@1.0"] for name in NAMES
    }
    made = read_provenance(FOLDER / "behaviours")["parameters"]["behaviours"]
    assert made == chosen.behaviours.model_dump()

    # Another bar asks no model; one behaviour more computes that one.
    again = params(*NAMES, "sentiment", bar={"success": -50.0, "passing": 0.5})
    behaviour_prompts.main("mine", again)
    baseline.main("mine", again)
    said = capsys.readouterr().out
    assert "forced_answers: 6 computed, 12 from the cache" in said
    summary = open_dataset(FOLDER / "behaviours", "summary")
    assert summary["behaviour"].values.tolist() == ["addition", "agreement", "sentiment"]
    assert summary["passes"].sel(behaviour="addition").values.all()
    assert len(open_collection(FOLDER / "forced_answers")) == 18


def test_a_profile_without_behaviours_has_none(project: None, capsys: pytest.CaptureFixture[str]) -> None:
    (FOLDER / BEHAVIOUR_PROMPTS).mkdir()
    (FOLDER / BEHAVIOUR_PROMPTS / "recall_test.jsonl").write_text("of a former run\n")
    behaviour_prompts.main("mine", params())
    baseline.main("mine", params())
    assert "names no behaviours" in capsys.readouterr().out
    assert list((FOLDER / BEHAVIOUR_PROMPTS).iterdir()) == []
    assert open_dataset(FOLDER / "behaviours", "summary").sizes["behaviour"] == 0
    assert json.loads((FOLDER / "metrics" / "baseline.json").read_text()) == {"nothing": UNNAMED}


@pytest.mark.parametrize(
    ("names", "changes", "said"),
    [
        (["grammar"], {}, r"^params\.yaml: profiles\.mine\.behaviours names the behaviour 'grammar', but"),
        (
            ["recall"],
            {"bars": {"sums": {"success": 1.0, "passing": 0.5}}},
            r"behaviours\.bars names the behav",
        ),
        (
            ["recall"],
            {"train": 80},
            r"^words/recall\.yaml: 5 groups \(subject\) give \d+ different prompts for",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(
    project: None, names: list[str], changes: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        behaviour_prompts.main("mine", params(*names, **changes))
