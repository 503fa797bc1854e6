"""Stage `components` on a small random subject: from weights and prompts to tables and gates."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.params.project import Params, load_params
from pipeline.run.stage import CACHE
from pipeline.stages.components import main
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset, read_provenance
from store.documents.failures import read_failures
from store.documents.manifest import Manifest, write_manifest
from store.documents.prompts import write_prompts
from store.schema.components import COMPONENTS
from tests.support import demo
from tests.support.places import ROOT

FOLDER = Path("artifacts/mine")
PROMPTS = demo.make_prompts()[:2]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> Params:
    monkeypatch.chdir(tmp_path)
    write_manifest(FOLDER / "models.json", manifest)
    write_prompts(FOLDER / "prompts.json", PROMPTS)
    given = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    given["profiles"] = {"mine": given["profiles"]["organism"]}
    given["runtime"]["threads"] = 1
    Path("params.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    return load_params()


def test_components_of_every_adapter_and_gates_where_they_are_shown(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    main("mine", params)
    said = capsys.readouterr().out
    assert "component_rows: 2 computed, 0 from the cache" in said
    assert "gates: 2 computed, 0 from the cache" in said
    assert read_failures(FOLDER / "failures" / "components.json") == ()
    components = open_dataset(FOLDER / "components", "components")
    names, counts = np.unique(components["variant"].values.astype(str), return_counts=True)
    # Rank 4 on both modules of three layers, and rank 1 on one.
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"general@1.0": 24, "narrow@1.0": 1}
    gates = open_collection(FOLDER / "gates")
    for prompt in PROMPTS:
        assert gates.variants(prompt.hash) == ["general@1.0"], "base has none, others are not traced here"
        assert gates.item(prompt.hash, "general@1.0").arrays["gate"].shape == (24, len(prompt.token_ids))
    metrics = json.loads((FOLDER / "metrics" / "components.json").read_text(encoding="utf-8"))
    assert metrics["general@1.0"]["components"] == 24
    assert metrics["general@1.0"]["found"] == 0, "a random adapter"
    made = read_provenance(FOLDER / "components")["parameters"]["components"]
    assert made == params.components.model_dump()

    stricter = params.components.model_copy(update={"level": 0.01})
    main("mine", params.model_copy(update={"components": stricter}))
    said = capsys.readouterr().out
    assert "component_rows: 0 computed, 2 from the cache" in said
    assert "gates: 0 computed, 2 from the cache" in said
    fewer = params.components.model_copy(update={"strongest": 1})
    main("mine", params.model_copy(update={"components": fewer}))
    said = capsys.readouterr().out
    assert "component_rows: 2 computed" in said
    assert "gates: 0 computed, 2 from the cache" in said
    assert set(open_dataset(FOLDER / "components", "matches")["rank"].values.tolist()) == {0}


def test_after_a_pull_both_are_taken_over(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    main("mine", params)
    before = {group: open_dataset(FOLDER / "components", group).load() for group in COMPONENTS.groups}
    shutil.rmtree(CACHE)
    capsys.readouterr()
    main("mine", params)
    said = capsys.readouterr().out
    assert "component_rows" not in said
    assert "gates: 0 computed, 2 from the cache" in said
    for group, table in before.items():
        assert open_dataset(FOLDER / "components", group).load().identical(table)
