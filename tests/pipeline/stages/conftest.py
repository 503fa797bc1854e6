"""What stages that measure with a model share: the demo profile, beside a small random model."""

import shutil
from pathlib import Path

import pytest

from pipeline.params.project import Params, load_params
from store.documents.manifest import write_manifest
from tests.support.builders import make_checkpoint
from tests.support.demo.words import D_TRANSCODER, LAYERS
from tests.support.places import ROOT


@pytest.fixture
def measuring(demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Params of the project, in a folder with the demo's artifacts and a model."""
    root = tmp_path / "project"
    shutil.copytree(demo_root, root)
    folder = root / "artifacts" / "demo"
    checkpoint = make_checkpoint(folder / "subject", n_layers=LAYERS, d_transcoder=D_TRANSCODER)
    write_manifest(folder / "models.json", checkpoint.manifest())
    monkeypatch.chdir(root)
    whole = load_params(ROOT / "params.yaml")
    return whole.model_copy(update={"runtime": whole.runtime.model_copy(update={"threads": 1})})
