"""A profile without labels runs to its end; Overview says why nothing is ranked."""

import json
from pathlib import Path

import pytest

from tests.support.app import OpenPage, plain_words
from tests.support.demo_project import own

TOLD = "No prompt has both an evil and a safe candidate"


@pytest.mark.parametrize(
    ("direct", "told"),
    [
        ({"evil-safe|base": {"scored_prompts": 0}, "evil-safe|general@1.0": {"scored_prompts": 0}}, True),
        ({}, True),
        ({"evil-safe|base": {"scored_prompts": 0}, "evil-safe|general@1.0": {"scored_prompts": 3}}, False),
    ],
)
def test_nothing_to_score_is_said(
    open_page: OpenPage, root: Path, direct: dict[str, dict[str, int]], told: bool
) -> None:
    path = own(root, "metrics") / "features.json"
    path.write_text(json.dumps({"direct": direct}), encoding="utf-8")
    app = open_page("overview")
    assert not app.exception
    assert (TOLD in plain_words(app)) == told
