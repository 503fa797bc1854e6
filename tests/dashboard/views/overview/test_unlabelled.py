"""A profile that lacks labels, judges or adapters runs to its end; Overview says what had nothing to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.run.reports import none_scored, write_metrics
from tests.support.app import OpenPage, plain_words
from tests.support.demo_project import own

TOLD = "Stages that had nothing to do"


@pytest.mark.parametrize("told", [True, False])
def test_nothing_to_do_is_said(open_page: OpenPage, root: Path, told: bool) -> None:
    """Once a reason, with the stages that gave it."""
    folder = own(root, "metrics").parent
    for stage, metrics in (("features", {"direct": {}}), ("labels", {"funnel": {}})):
        write_metrics(folder, stage, metrics, none_scored("demo", 0 if told else 3))
    write_metrics(folder, "judge", {}, "profiles.demo names no judges*" if told else "")
    app = open_page("overview")
    assert not app.exception
    words = plain_words(app)
    assert (TOLD in words) == told
    if told:
        assert words.count("no prompt has both an evil and a safe candidate") == 1
        (info,) = [each.value for each in app.info if TOLD in each.value]
        assert "- `features`, `labels`: no prompt has both" in info
        assert "- `judge`: profiles" in info
        assert "judges\\*" in info


def test_a_document_of_other_tools_is_no_reason(open_page: OpenPage, root: Path) -> None:
    path = own(root, "metrics") / "judge.json"
    values: dict[str, Any] = {"nothing": {"asked": 0}}  # a judge that somebody has called so
    path.write_text(json.dumps(values), encoding="utf-8")
    app = open_page("overview")
    assert not app.exception
    assert TOLD not in plain_words(app)
