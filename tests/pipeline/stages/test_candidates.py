"""Stage `candidates` computes, where it has loaded the models, what else of a prompt waits for no label."""

import shutil
from pathlib import Path

import pytest

from pipeline.params.project import Params, load_params
from pipeline.run.stage import CACHE
from pipeline.stages import activations, candidates, components
from store.documents.manifest import Manifest, write_manifest
from store.documents.prompts import write_prompts
from tests.support import demo
from tests.support.places import ROOT
from tests.support.project import computed

FOLDER = Path("artifacts/mine")
PROMPTS = demo.make_prompts()[:3]
VARIANTS = 3
"""Of which base and the focus are traced."""


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> Params:
    monkeypatch.chdir(tmp_path)
    write_manifest(FOLDER / "models.json", manifest)
    whole = load_params(ROOT / "params.yaml")
    return whole.model_copy(update={"runtime": whole.runtime.model_copy(update={"threads": 1})})


def test_one_more_prompt_loads_models_once(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    def said_by(*stages: object) -> dict[str, tuple[int, int]]:
        capsys.readouterr()
        for stage in stages:
            stage.main("mine", params)  # type: ignore[attr-defined]
        return computed(capsys.readouterr().out)

    write_prompts(FOLDER / "prompts.json", PROMPTS[:2])
    assert said_by(candidates) == {"candidates": (4, 0), "activations": (2 * VARIANTS, 0), "gates": (2, 0)}
    found = said_by(activations, components)
    assert found["activations"] == (0, 2 * VARIANTS)
    assert found["gates"] == (0, 2)
    assert said_by(candidates) == {"candidates": (0, 4)}, "no model was loaded"
    # As after a pull, with a prompt more.
    shutil.rmtree(CACHE)
    write_prompts(FOLDER / "prompts.json", PROMPTS)
    assert said_by(candidates) == {
        "candidates": (2, 4),
        "activations": (VARIANTS, 2 * VARIANTS),
        "gates": (1, 2),
    }
    found = said_by(activations, components)
    assert found == {"activations": (0, 3 * VARIANTS), "gates": (0, 3)}
