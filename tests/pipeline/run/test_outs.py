"""What a stage writes is read off ``dvc.yaml``."""

from pathlib import Path

import yaml

from pipeline.items.closure import ROOT
from pipeline.run.behaviour_stage import outs_of_pair
from pipeline.run.outs import outs_of


def test_outs_metrics_and_plots_of_a_stage() -> None:
    assert outs_of(ROOT, "dose", "mine") == [
        Path("artifacts/mine/dose_candidates"),
        Path("artifacts/mine/dose"),
        Path("artifacts/mine/checkpoints_candidates"),
        Path("artifacts/mine/checkpoints"),
        Path("artifacts/mine/failures/dose.json"),
        Path("artifacts/mine/checksums/dose.json"),
        Path("artifacts/mine/metrics/dose.json"),
        Path("artifacts/mine/plots/dose.csv"),
    ]


def test_every_stage_keeps_its_checksums() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage, entry in stages.items():
        if "behaviour" in entry.get("matrix", {}):
            own, outs = f"{stage}-recall", outs_of_pair(ROOT, stage, "x", "recall")
        else:
            own, outs = stage, outs_of(ROOT, stage, "x")
        assert Path(f"artifacts/x/checksums/{own}.json") in outs, stage
        assert not [path for path in outs if "$" in str(path)]


def test_what_is_no_stage_has_none(tmp_path: Path) -> None:
    assert outs_of(ROOT, "nothing", "x") == []
    assert outs_of(tmp_path, "graphs", "x") == []
