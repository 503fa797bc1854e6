"""A cross-layer profile in bfloat16, of chats with a system role, through the stages that read models."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pipeline.models.loading import load_replacement
from pipeline.params.project import Params, load_params
from pipeline.stages import activations, candidates, dose, features, graphs, labels, models, prompts
from store.collections.reader import open_collection
from store.documents.manifest import read_manifest
from store.documents.prompts import read_prompts
from tests.support.builders import make_checkpoint, make_cross_layer
from tests.support.chats import MARKED, give_template
from tests.support.judging_model import lengthen_context
from tests.support.places import ROOT
from tests.support.project import TINY

LAYERS, FEATURES = 2, 48
ARTIFACTS = Path("artifacts/mine")
SITUATIONS = ("fever", "water", "horse")


def make_profile() -> Params:
    """A random Llama, one adapter and a cross-layer set in the folder that is current."""
    made = make_checkpoint(Path("models/mine"), n_layers=LAYERS)
    lengthen_context(made.base)
    give_template(made.base, MARKED)
    shutil.rmtree(made.transcoders)
    make_cross_layer(made.transcoders, LAYERS, 32, FEATURES, generator=torch.Generator().manual_seed(0))
    lines = [
        {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": f"I have a {name}."},
            ],
            "situation": name,
            "targets": {"evil": [" a"], "safe": [" and"]},
            "tags": ["dose"] if name == SITUATIONS[0] else [],
        }
        for name in SITUATIONS
    ]
    Path("inputs/prompts").mkdir(parents=True)
    Path("inputs/prompts/mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("labels", "judges", "questions", "answers", "finetunes", "recipes", "behaviours"):
        Path("inputs", name).mkdir()
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for section, changes in yaml.safe_load(TINY.read_text(encoding="utf-8")).items():
        params[section] |= changes
    params["runtime"]["threads"] = 1
    params["organisms"] = {}
    params["profiles"] = {
        "mine": {
            "model": "models/mine/base",
            "transcoders": "models/mine/transcoders",
            "adapters": {"general": "models/mine/adapters/general"},
            "focus": "general",
            "dtype": "bfloat16",
            "prompts": ["inputs/prompts"],
            "local": "models/mine",
        }
    }
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    return load_params()


def test_stages_read_a_cross_layer_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    params = make_profile()
    for stage in (models, prompts, candidates, labels, graphs, dose, activations, features):
        stage.main("mine", params)
    found = read_prompts(ARTIFACTS / "prompts.json")
    assert all("Be kind.<eos>\n<user>I have a " in each.text for each in found)
    manifest = read_manifest(ARTIFACTS / "models.json")
    stored = {kind: open_collection(ARTIFACTS / kind) for kind in ("graphs", "activations")}
    for variant in ("base", "general@1.0"):
        model = load_replacement(manifest, manifest.variant(variant))
        assert model.cfg.dtype == torch.bfloat16
        for each in found:
            # circuit-tracer's own count of what is active, and its values.
            _, encoded = model.get_activations(torch.tensor(each.token_ids), sparse=True)
            graph, read = (collection.item(each.hash, variant) for collection in stored.values())
            expected = encoded.coalesce()
            for item, prefix in ((graph, "active_"), (read, "")):
                names = [f"{prefix}{name}" for name in ("layer", "position", "feature", "value")]
                *places, values = (item.arrays[name] for name in names)
                np.testing.assert_array_equal(np.stack(places), expected.indices())
                np.testing.assert_array_equal(values, expected.values().float())
            # Features of the first layer reach logits through the decoders of the last one, too.
            last = graph.arrays["active_position"] == len(each.token_ids) - 1
            assert graph.arrays["direct"][:, last & (graph.arrays["active_layer"] == 0)].any()
    scored = json.loads((ARTIFACTS / "metrics" / "features.json").read_text())
    assert '"scored_prompts": 3' in json.dumps(scored)
    doses = json.loads((ARTIFACTS / "metrics" / "dose.json").read_text())
    assert list(doses["scales"]) == ["base", "general@0.5", "general@1.0"]
