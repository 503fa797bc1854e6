"""Metrics are JSON that every reader takes."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.run.reports import write_metrics


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    metrics = {
        "a": {"b": float("nan"), "c": np.float64("inf"), "d": 0.5, "e": True},
        "f": [1, np.nan],
        "g": "",
    }
    write_metrics(tmp_path, "stage", metrics)

    def refused(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = (tmp_path / "metrics" / "stage.json").read_text(encoding="utf-8")
    read = json.loads(text, parse_constant=refused)
    assert read == {"a": {"b": None, "c": None, "d": 0.5, "e": True}, "f": [1, None], "g": ""}


def test_why_there_was_nothing_to_do_is_kept_and_said_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for nothing, said, kept in (("", "", {}), ("no judge", "stage: no judge\n", {"nothing": "no judge"})):
        write_metrics(tmp_path, "stage", {"a": 1}, nothing)
        assert capsys.readouterr().out == said
        assert json.loads((tmp_path / "metrics" / "stage.json").read_text()) == {"a": 1, **kept}
