"""Without any label every stage ends well, and those that score say in their last line that they did not."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.params.project import Params, load_params
from pipeline.run.reports import none_scored
from pipeline.stages import faithfulness, features, labels, validation
from store.documents.manifest import write_manifest
from tests.support.builders import make_checkpoint
from tests.support.demo.words import D_TRANSCODER, LAYERS
from tests.support.places import ROOT

STAGES = (labels, features, validation, faithfulness)


@pytest.fixture
def params(demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Those of the project for the demo, whose candidates nobody has labelled."""
    root = tmp_path / "project"
    shutil.copytree(demo_root, root)
    shutil.rmtree(root / "inputs", ignore_errors=True)
    folder = root / "artifacts" / "demo"
    (folder / "lexicon.json").write_text('{"domains": {}}\n')
    shutil.rmtree(folder / "verdicts", ignore_errors=True)
    checkpoint = make_checkpoint(folder / "subject", n_layers=LAYERS, d_transcoder=D_TRANSCODER)
    write_manifest(folder / "models.json", checkpoint.manifest())
    monkeypatch.chdir(root)
    whole = load_params(ROOT / "params.yaml")
    few = {"ks": [1], "top": 2, "matched": 2, "random_orders": 19, "min_situations": 2, "bootstrap": 50}
    demo = whole.profiles["organism"].model_copy(update={"texts": None, "nulls": []})
    return whole.model_copy(
        update={
            "profiles": {"demo": demo},
            "runtime": whole.runtime.model_copy(update={"threads": 1}),
            "faithfulness": whole.faithfulness.model_copy(update=few | {"labellings": 50}),
        }
    )


def test_a_profile_without_labels_is_told(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in STAGES:
        stage.main("demo", params)
        name = stage.__name__.rpartition(".")[2]
        why = none_scored("demo", 0)
        assert capsys.readouterr().out.splitlines()[-1] == f"{name}: {why}"
        assert json.loads(Path(f"artifacts/demo/metrics/{name}.json").read_text())["nothing"] == why
    assert "no prompt has both an evil and a safe candidate" in why
    assert none_scored("demo", 1) == ""
