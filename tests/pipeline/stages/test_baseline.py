"""Stages from `behaviour_words` to `baseline` on a small random subject: from words to PASS or FAIL."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from pipeline.behaviours.protocol import NOT_NAMED
from pipeline.behaviours.registry import BEHAVIOURS
from pipeline.params.project import Params
from pipeline.stages import baseline, behaviour_prompts, behaviour_words
from store.base.errors import UserError
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, behaviours_in, read_behaviour_prompts
from store.documents.failures import read_failures
from store.documents.manifest import Manifest
from store.views.by_behaviour import open_collections, open_datasets, provenances
from tests.support.behaviour_stages import FOLDER, NAMES, make_params, make_project, run_each
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
    run_each(behaviour_prompts, chosen)
    run_each(baseline, chosen)
    said = capsys.readouterr().out
    for name in NAMES:
        assert f"forced_answers/{name}: 6 computed, 0 from the cache" in said
    assert "do not pass" in said, "a random model can do nothing"
    assert read_failures(FOLDER / "failures" / "baseline-agreement.json") == ()
    prompts = read_behaviour_prompts(FOLDER / BEHAVIOUR_PROMPTS, NAMES)
    assert len(prompts) == 16
    table = open_datasets(FOLDER, "behaviours", "prompts")
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
    for name in NAMES:
        metrics = json.loads((FOLDER / "metrics" / f"baseline-{name}.json").read_text(encoding="utf-8"))
        assert {of: list(found) for of, found in metrics.items()} == {
            name: ["base", "general@1.0", "narrow@1.0"]
        }
    made = provenances(FOLDER, "behaviours")["agreement"]["parameters"]["behaviours"]
    assert made == chosen.behaviours.model_dump()

    # Another bar asks no model; one behaviour more computes that one.
    again = params(*NAMES, "sentiment", bar={"success": -50.0, "passing": 0.5})
    run_each(behaviour_prompts, again)
    run_each(baseline, again)
    said = capsys.readouterr().out
    assert "forced_answers/sentiment: 6 computed, 0 from the cache" in said
    for name in NAMES:
        assert f"forced_answers/{name}: 0 computed, 6 from the cache" in said
    summary = open_datasets(FOLDER, "behaviours", "summary")
    assert summary["behaviour"].values.tolist() == ["addition", "agreement", "sentiment"]
    assert summary["passes"].sel(behaviour="addition").values.all()
    assert len(open_collections(FOLDER, "forced_answers")) == 18


def test_a_profile_without_behaviours_has_none(project: None, capsys: pytest.CaptureFixture[str]) -> None:
    (FOLDER / BEHAVIOUR_PROMPTS).mkdir()
    (FOLDER / BEHAVIOUR_PROMPTS / "recall_test.jsonl").write_text("of a former run\n")
    run_each(behaviour_prompts, params())
    run_each(baseline, params())
    assert f"behaviour_prompts of recall: {NOT_NAMED}\n" in capsys.readouterr().out
    assert behaviours_in(FOLDER / BEHAVIOUR_PROMPTS) == []
    assert open_datasets(FOLDER, "behaviours", "summary").sizes["behaviour"] == 0
    assert json.loads((FOLDER / "metrics" / "baseline-recall.json").read_text()) == {"nothing": NOT_NAMED}


def told_words() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in (FOLDER / "behaviour_words").iterdir()}


def test_a_behaviour_more_or_a_word_of_one_concerns_its_stages_alone(project: None) -> None:
    behaviour_words.main("mine", params(*NAMES))
    first = told_words()
    assert first.keys() == BEHAVIOURS.keys()
    assert {name for name, text in first.items() if text} == set(NAMES)
    behaviour_words.main("mine", params(*NAMES, "recall"))
    more = told_words()
    assert {name for name in more if more[name] != first[name]} == {"recall"}
    with Path("words/agreement.yaml").open("a") as file:
        file.write("# edited\n")
    Path("words/recall.yaml").unlink()
    behaviour_words.main("mine", params(*NAMES, "recall"))
    edited = told_words()
    assert {name for name in edited if edited[name] != more[name]} == {"agreement", "recall"}


def test_broken_words_of_one_behaviour_keep_no_other_from_being_made(project: None) -> None:
    Path("words/addition.yaml").write_text("ranges: [", encoding="utf-8")
    chosen = params(*NAMES)
    behaviour_words.main("mine", chosen)
    with pytest.raises(UserError, match=r"^words/addition\.yaml"):
        behaviour_prompts.main("mine", "addition", chosen)
    behaviour_prompts.main("mine", "agreement", chosen)
    baseline.main("mine", "agreement", chosen)
    assert open_datasets(FOLDER, "behaviours", "summary")["behaviour"].values.tolist() == ["agreement"]


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
    chosen = params(*names, **changes)

    def made() -> None:
        behaviour_words.main("mine", chosen)
        behaviour_prompts.main("mine", names[0], chosen)

    with pytest.raises(UserError, match=said):
        made()
