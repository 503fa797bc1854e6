"""A stage of one profile and one behaviour as a program."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from pipeline.params.pairs import PairParams
from pipeline.params.reading import read_params
from store.base.errors import UserError
from tests.support.forked import forked
from tests.support.places import ROOT

PROGRAM = """
sys.argv = ["stage", "{key}"]
runpy.run_module("pipeline.stages.behaviour_prompts", run_name="__main__", alter_sys=True)
"""


def test_it_seals_what_it_writes_and_names_what_it_does_not_know(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "dvc.yaml", tmp_path / "dvc.yaml")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["profiles"]["organism"]["behaviours"] = {}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    programs = {key: PROGRAM.format(key=key) for key in ("organism-recall", "organism", "nobody-recall")}
    ended = forked(
        programs,
        imports="import runpy, sys, pipeline.behaviours.prompts",
        folder=tmp_path,
        environment={"PYTHONPATH": str(ROOT)},
    )
    assert ended["organism-recall"].code == 0, ended["organism-recall"].errors
    folder = tmp_path / "artifacts" / "organism"
    sealed = json.loads((folder / "checksums/behaviour_prompts-recall.json").read_text(encoding="utf-8"))
    assert list(sealed["files"]) == [f"behaviour_prompts/recall_{split}.jsonl" for split in ("test", "train")]
    assert sorted(path.name for path in (folder / "checksums").iterdir()) == ["behaviour_prompts-recall.json"]
    for key, said in (
        ("organism", "'organism' names no profile and behaviour of params.yaml; join both:"),
        ("nobody-recall", "There is no profile 'nobody' in params.yaml"),
    ):
        assert ended[key].code == 1
        assert ended[key].errors.startswith(f"Error: {said}")
        assert ended[key].errors.count("\n") == 1


def test_a_profile_may_have_hyphens() -> None:
    params = read_params(ROOT / "params.yaml", PairParams)
    assert params.pair("llama-1b-clt-agreement") == ("llama-1b-clt", "agreement")
    with pytest.raises(UserError):
        params.require("llama-1b")
