"""The stage on the demo profile with a small random model: from graphs, labels and rankings to the tables."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.params.project import Params
from pipeline.run.stage import CACHE
from pipeline.stages.faithfulness import main
from store.datasets.groups import open_dataset
from store.documents.prompts import read_prompts
from store.schema.vocabulary import FAITHFUL_ORDERS
from tests.support.project import computed

FOLDER = Path("artifacts/demo")


@pytest.fixture
def params(measuring: Params) -> Params:
    """Few features, and few resamples."""
    few = {"ks": [1, 4], "top": 2, "matched": 2, "random_orders": 19, "min_situations": 2, "bootstrap": 50}
    chosen = measuring.faithfulness.model_copy(update=few | {"labellings": 50})
    return measuring.model_copy(update={"faithfulness": chosen})


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
    # What the last outs hold is not computed again, and the tables are the same.
    before = {name: each.values.copy() for name, each in features.items()}
    first = computed(capsys.readouterr().out)
    assert first["moved_features"][0] > 0 < first["held_logits"][0] == int(difference["n_prompts"].values[0])
    shutil.rmtree(CACHE)
    main("demo", params)
    again = computed(capsys.readouterr().out)
    assert again == {kind: (0, count) for kind, (count, _) in first.items()}
    assert not any((CACHE / kind).exists() for kind in first), "read where it lies"
    again = open_dataset(FOLDER / "faithfulness", "features")
    for name, values in before.items():
        np.testing.assert_array_equal(again[name].values, values)
