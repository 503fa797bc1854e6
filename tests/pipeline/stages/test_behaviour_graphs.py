"""Stages from `behaviour_graphs` to `circuits` on a small random subject: from prompts to a circuit."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.behaviours.protocol import NOT_NAMED, UNNAMED
from pipeline.params.project import Params
from pipeline.run.stage import CACHE
from pipeline.stages import baseline, behaviour_features, behaviour_graphs, behaviour_prompts, circuits
from store.base.errors import UserError
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, read_behaviour_prompts
from store.documents.failures import read_failures
from store.documents.manifest import Manifest
from store.views.by_behaviour import open_collections, open_datasets, place
from tests.support.behaviour_stages import FOLDER, NAMES, make_params, make_project, run_each

RULE = {"graphs": 4, "min_groups": 2, "permutations": 100, "max_feature_nodes": 40}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> None:
    make_project(tmp_path, monkeypatch, manifest)


def params(*names: str, **changes: object) -> Params:
    return make_params(*names, train=6, test=2, circuits=RULE | changes)


def run(chosen: Params) -> None:
    for stage in (behaviour_prompts, baseline, behaviour_graphs, behaviour_features):
        run_each(stage, chosen)
    circuits.main("mine", chosen)


def test_circuits_of_every_behaviour(project: None, capsys: pytest.CaptureFixture[str]) -> None:
    run(params(*NAMES))
    said = capsys.readouterr().out
    for name in NAMES:
        assert f"by_behaviour/behaviour_graphs/{name}: 12 computed, 0 from the cache" in said
        assert f"by_behaviour/behaviour_features/{name}: 4 computed, 0 from the cache" in said
    assert f"behaviour_graphs of recall: {NOT_NAMED}" in said
    assert "do not pass the baseline; a circuit says little of them" in said, "a random model can do nothing"
    assert read_failures(FOLDER / "failures" / "behaviour_graphs-agreement.json") == ()
    prompts = read_behaviour_prompts(FOLDER / BEHAVIOUR_PROMPTS, NAMES)
    graphs = open_collections(FOLDER, "behaviour_graphs")
    assert len(graphs) == 24
    answers = open_datasets(FOLDER, "behaviours", "prompts")
    contrast = (
        open_dataset(FOLDER / "circuits", "prompts").to_dataframe().set_index(["prompt_hash", "variant"])
    )
    for each in prompts:
        if (each.hash, "base") not in graphs:
            assert each.split == "train"
            continue
        item = graphs.item(each.hash, "base")
        shared = each.correct_ids[: each.shared]
        assert item.arrays["token"].tolist() == [*each.token_ids, *shared], "multi-token, shared beginnings"
        at = answers.sel(variant="base")["decision"].values[
            answers["prompt_hash"].values.tolist().index(each.hash)
        ]
        # The baseline reads the same decision through another model.
        assert contrast["contrast"][each.hash, "base"] == pytest.approx(float(at), abs=1e-4)
    summary = open_dataset(FOLDER / "circuits", "summary")
    assert summary["variant"].values.tolist() == ["base", "general@1.0"]
    assert (summary["n_train"].values == 4).all()
    assert (summary["n_test"].values == 2).all()
    assert not summary["passes"].values.any()
    rows = open_dataset(FOLDER / "circuits", "circuit").to_dataframe()
    for _, cell in rows.groupby(["variant", "behaviour"]):
        assert (np.diff(cell["total_effect"].abs()) <= 0).all()
    edges = open_dataset(FOLDER / "circuits", "edges")
    weights = open_collection(FOLDER / "virtual_weights")
    (prompt_hash,) = weights.prompts()
    stored = weights.item(prompt_hash, "base").arrays["virtual_weight"]
    np.testing.assert_array_equal(edges["virtual_weight"].values, stored)
    assert len(stored) > 0
    assert np.isfinite(stored).all()
    metrics = json.loads((FOLDER / "metrics" / "circuits.json").read_text(encoding="utf-8"))
    assert sorted(metrics) == list(NAMES)

    # Another rule of what is in the circuit traces nothing anew; one prompt more traces that one.
    behaviour_graphs.main("mine", "agreement", params(*NAMES, least_share=0.5))
    assert "behaviour_graphs/agreement: 0 computed, 12 from the cache" in capsys.readouterr().out
    behaviour_graphs.main("mine", "agreement", params(*NAMES, graphs=5))
    assert "behaviour_graphs/agreement: 2 computed, 12 from the cache" in capsys.readouterr().out


def test_items_of_the_layout_before_are_not_computed_again(
    project: None, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = params("agreement")
    run(chosen)
    graphs = FOLDER / place("behaviour_graphs", "agreement")
    before = {path.relative_to(graphs): path.read_bytes() for path in graphs.rglob("*") if path.is_file()}
    # As it was: one collection of all behaviours, in the place of the folder that now has one each.
    graphs.rename(FOLDER / "behaviour_graphs")
    shutil.rmtree(CACHE / "behaviour_graphs")
    assert len(open_collections(FOLDER, "behaviour_graphs")) == 0, "that of what is made anew goes first"
    shutil.rmtree(graphs.parent)
    assert len(open_collections(FOLDER, "behaviour_graphs")) == 12
    capsys.readouterr()
    behaviour_graphs.main("mine", "agreement", chosen)
    assert "behaviour_graphs/agreement: 0 computed, 12 from the cache" in capsys.readouterr().out
    assert {path: (graphs / path).read_bytes() for path in before} == before


def test_a_profile_without_behaviours_has_none(project: None) -> None:
    run(params())
    assert open_dataset(FOLDER / "circuits", "summary").sizes["behaviour"] == 0
    assert len(open_collections(FOLDER, "behaviour_graphs")) == 0
    for stage, why in (("behaviour_features-recall", NOT_NAMED), ("circuits", UNNAMED)):
        assert json.loads((FOLDER / "metrics" / f"{stage}.json").read_text()) == {"nothing": why}


def test_one_prompt_of_two_behaviours_is_one_sentence(project: None) -> None:
    chosen = params("agreement")
    behaviour_prompts.main("mine", "agreement", chosen)
    for split in ("train", "test"):
        text = (FOLDER / BEHAVIOUR_PROMPTS / f"agreement_{split}.jsonl").read_text(encoding="utf-8")
        copied = text.replace('"behaviour": "agreement"', '"behaviour": "recall"')
        (FOLDER / BEHAVIOUR_PROMPTS / f"recall_{split}.jsonl").write_text(copied, encoding="utf-8")
    with pytest.raises(UserError, match=r"is one of agreement and of recall; change a template"):
        circuits.main("mine", chosen)
