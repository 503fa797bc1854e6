"""The stage trains what is its profile's, from files that DVC sees change."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.params.project import Params, load_params
from pipeline.stages.finetunes import main, require_tracked
from store.base.errors import UserError
from tests.support.chats import finetune_params
from tests.support.places import ROOT

HEADER = "finetune,step,loss,held_out_loss,learning_rate,gradient_norm\n"


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


def test_without_finetunes_nothing_is_trained_and_old_ones_go(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    old = Path("artifacts/organism/finetunes/old")
    old.mkdir(parents=True)
    others = {"x": finetune_params("anywhere", profile="other")}
    main("organism", params.model_copy(update={"finetunes": others}))
    assert not old.exists()
    assert old.parent.is_dir(), "DVC wants it there"
    assert json.loads(Path("artifacts/organism/metrics/finetunes.json").read_text()) == {}
    assert Path("artifacts/organism/plots/finetunes.csv").read_text() == HEADER


def test_without_finetunes_no_models_are_imported(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(['torch', 'transformers', 'peft']); "
        "from pathlib import Path; import os; from pipeline.params.project import load_params; "
        "from pipeline.stages.finetunes import main; params = load_params(); os.chdir(sys.argv[1]); "
        "main('organism', params)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, timeout=300)


@pytest.mark.parametrize("data", ["inputs/finetunes/a.jsonl", "artifacts/organism/subject/a.jsonl"])
def test_conversations_that_dvc_sees_are_accepted(params: Params, data: str) -> None:
    require_tracked("mine", data, params.profile("organism"))


@pytest.mark.parametrize("data", ["inputs/a.jsonl", "inputs/finetunes/../a.jsonl", "/tmp/a.jsonl"])
def test_conversations_that_dvc_does_not_see_are_refused(params: Params, data: str) -> None:
    with pytest.raises(UserError) as error:
        require_tracked("mine", data, params.profile("organism"))
    assert str(error.value) == (
        f"params.yaml: finetunes.mine.data is '{data}', outside of 'inputs/finetunes' and of its profile's "
        "folder 'artifacts/organism/subject', so that DVC would not see it change; move it to one of them."
    )


def test_a_missing_file_is_told_before_anything_is_trained(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "artifacts/organism/subject/base"
    model.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    data = "inputs/finetunes/nowhere.jsonl"
    mine = {"mine": finetune_params(data, profile="organism")}
    with pytest.raises(UserError, match=r"finetunes\.mine\.data is .*nowhere\.jsonl', which is no file"):
        main("organism", params.model_copy(update={"finetunes": mine}))
