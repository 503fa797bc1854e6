"""The stage on the demo profile with a small random model: from graphs, labels and rankings to the tables."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.params.project import Params, load_params
from pipeline.stages.faithfulness import main
from store.datasets.groups import open_dataset
from store.documents.manifest import write_manifest
from store.documents.prompts import read_prompts
from store.schema.vocabulary import FAITHFUL_ORDERS
from tests.support.builders import make_checkpoint
from tests.support.demo.words import D_TRANSCODER, LAYERS
from tests.support.places import ROOT

FOLDER = Path("artifacts/demo")


@pytest.fixture
def params(demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Those of the project, in a folder with the demo's artifacts and a model."""
    root = tmp_path / "project"
    shutil.copytree(demo_root, root)
    folder = root / "artifacts" / "demo"
    checkpoint = make_checkpoint(folder / "subject", n_layers=LAYERS, d_transcoder=D_TRANSCODER)
    write_manifest(folder / "models.json", checkpoint.manifest())
    monkeypatch.chdir(root)
    whole = load_params(ROOT / "params.yaml")
    few = {"ks": [1, 4], "top": 2, "matched": 2, "random_orders": 19, "min_situations": 2, "bootstrap": 50}
    return whole.model_copy(
        update={
            "runtime": whole.runtime.model_copy(update={"threads": 1}),
            "faithfulness": whole.faithfulness.model_copy(update=few | {"labellings": 50}),
        }
    )


def test_the_stage_measures_where_nothing_was_ordered(params: Params, capsys: pytest.CaptureFixture) -> None:
    main("demo", params)
    prompts = {prompt.hash: prompt for prompt in read_prompts(FOLDER / "prompts.json")}
    difference = open_dataset(FOLDER / "faithfulness", "difference")
    out = sum(prompt.held_out for prompt in prompts.values())
    assert 0 < int(difference["n_prompts"].values[0]) <= max(out, len(prompts) // 2)
    curves = open_dataset(FOLDER / "faithfulness", "curves")
    assert set(map(str, curves["order"].values)) <= set(FAITHFUL_ORDERS)
    assert {"direct", "eap_ig"} <= set(map(str, curves["order"].values))
    features = open_dataset(FOLDER / "faithfulness", "features")
    assert features.sizes["feature"] > 0
    ranks = features["rank"].values
    assert (ranks.min(axis=1) >= 0).all()
    assert ((ranks == 1).sum(axis=1) == 1).all()
    assert np.isfinite(features["effect"].values).all()
    metrics = json.loads((FOLDER / "metrics" / "faithfulness.json").read_text(encoding="utf-8"))
    assert metrics["situations"] == int(difference["n_situations"].values[0])
    # What is there is not computed again, and the tables are the same.
    before = {name: each.values.copy() for name, each in features.items()}
    capsys.readouterr()
    main("demo", params)
    assert "0 computed" in capsys.readouterr().out
    again = open_dataset(FOLDER / "faithfulness", "features")
    for name, values in before.items():
        np.testing.assert_array_equal(again[name].values, values)
