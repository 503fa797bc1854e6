"""Every stage of behaviours on a model of Qwen3's shape without BOS, ended by `kill -9` in each of them."""

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, read_behaviour_prompts
from store.views.by_behaviour import place
from tests.support.behaviour_stages import FOLDER, make_params, make_project, make_qwen
from tests.support.forked import forked
from tests.support.places import ROOT

IMPORTS = """
import os, signal
# What stages import when there is something to compute: once, before the forks.
import pipeline.behaviours.circuit_graphs, pipeline.behaviours.forced, pipeline.behaviours.prompt_features
import pipeline.behaviours.virtual_weights, pipeline.interventions.partnered, pipeline.models.pool
from pipeline.items.cache import ItemCache
from pipeline.params.project import load_params
from pipeline.stages import (
    baseline, behaviour_features, behaviour_graphs, behaviour_interventions, behaviour_prompts, circuits
)

put = ItemCache.put

def run(folder, last=None):
    os.chdir(folder)
    done = []

    def counted(self, *given, **named):
        put(self, *given, **named)
        done.append(1)
        if len(done) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    ItemCache.put = counted
    for stage in (behaviour_prompts, baseline, behaviour_features, behaviour_graphs):
        print("stage", stage.__name__.rpartition(".")[2], flush=True)
        stage.main("mine", "agreement", load_params())
    for stage in (circuits, behaviour_interventions):
        print("stage", stage.__name__.rpartition(".")[2], flush=True)
        stage.main("mine", load_params())
"""
KILLED = {"baseline": 4, "behaviour_features": 4, "behaviour_graphs": 10, "behaviour_interventions": 12}
"""After so many new items a run is ended, in this stage."""


def checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_model_of_qwens_shape_killed_in_every_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killed").mkdir()
    manifest = make_qwen(tmp_path / "qwen")
    make_project(tmp_path / "killed", monkeypatch, manifest)
    few = {"features": 1, "controls": 2, "ks": [1, 4], "random_circuits": 2, "bootstrap": 50, "flips": 100}
    make_params(
        "agreement",
        train=6,
        test=2,
        circuits={"graphs": None, "min_groups": 2, "permutations": 100, "max_feature_nodes": 40},
        behaviour_interventions=few | {"min_active": 3, "min_groups": 2},
    )
    shutil.copytree(tmp_path / "killed", tmp_path / "whole")
    programs = {"whole": f"run({str(tmp_path / 'whole')!r})"}
    programs |= {name: f"run({str(tmp_path / 'killed')!r}, {last})" for name, last in KILLED.items()}
    programs["last"] = f"run({str(tmp_path / 'killed')!r})"
    ended = forked(programs, imports=IMPORTS, folder=tmp_path, environment={"PYTHONPATH": str(ROOT)})
    for name in ("whole", "last"):
        assert ended[name].code == 0, ended[name].errors
    for name in KILLED:
        assert ended[name].code == -9, ended[name].errors
        assert re.findall(r"stage (\w+)", ended[name].out)[-1] == name
    counted = {
        name: sum(int(n) for n in re.findall(r"(\d+) computed", ended[name].out))
        for name in ("whole", "last")
    }
    assert counted["last"] == counted["whole"] - sum(KILLED.values()) > 0, "nothing is computed twice"
    assert checksums(tmp_path / "killed" / "artifacts") == checksums(tmp_path / "whole" / "artifacts")

    # What stands at position 0 is not traced: it is a special token, and no word of the prompt.
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "qwen" / "base")
    prompts = read_behaviour_prompts(FOLDER / BEHAVIOUR_PROMPTS, ["agreement"])
    texts = [tokenizer(each.prompt, add_special_tokens=False).input_ids for each in prompts]
    assert [list(each.token_ids[1:]) for each in prompts] == texts
    assert {each.token_ids[0] for each in prompts} == {tokenizer.pad_token_id}
    table = open_dataset(FOLDER / place("behaviours", "agreement"), "prompts")
    assert np.isfinite(table["difference"].values).all()
    assert np.isfinite(table["decision"].values).all()
    assert int(open_dataset(FOLDER / "circuits", "summary")["n_train"][0, 0]) == 6
    features = open_collection(FOLDER / place("behaviour_features", "agreement"))
    assert set(features.variants()) == {"base", "general@1.0"}
    assert len(open_collection(FOLDER / "circuit_logits")) == 2
