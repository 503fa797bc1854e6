"""What orders predict, on the page: the question of a contrast, the best order first, the default score."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard.data import readers
from dashboard.views.features.validation import default_score, orders_frame, question, verdict
from tests.support.app import OpenPage, plain_words

FOCUS = "general@1.0"
WITHIN, DIFFERENCE = f"evil-safe|{FOCUS}", f"{FOCUS}-base"


def frame(contrast: str) -> pd.DataFrame:
    return orders_frame(readers.dataset("demo", "validation", "orders"), contrast)


def test_a_contrast_is_held_against_its_own_question(root: Path) -> None:
    within, difference = frame(WITHIN), frame(DIFFERENCE)
    assert set(within["intervention"]) == {"ablate"}
    assert set(difference["intervention"]) == {"restore"}
    assert set(within["variant"]) == set(difference["variant"]) == {FOCUS}
    assert len(within) == len(difference) == 8, "those that do worse stand beside the best"
    assert within["score"][0] == "direct"
    assert difference["score"][0] == "change"
    assert (np.diff(within["spearman"]) <= 0).all()
    assert frame("narrow@1.0-base").empty
    assert question("null-1@1.0-base") == ("restore", "null-1@1.0")


def test_the_verdict_names_a_better_order_where_there_is_one(root: Path) -> None:
    difference = frame(DIFFERENCE)
    best = verdict(difference, "change", DIFFERENCE)
    assert "On 4 other situations" in best
    assert best.endswith("0.600 [0.500, 0.700], the highest of 8 orders.")
    worse = verdict(difference, "direct", DIFFERENCE)
    assert "; change has 0.600 [0.500, 0.700]." in worse
    assert verdict(difference, "direct", "narrow@1.0-base") == "What this order predicts was not measured."
    unknown = difference.assign(spearman=np.nan)
    assert verdict(unknown, "change", DIFFERENCE) == "What this order predicts was not measured."


def test_the_default_is_the_first_score_that_the_table_supports(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "artifacts" / "demo" / "faithfulness").unlink()  # where it is, it decides first
    assert default_score("demo") == "direct"
    table, real = readers.dataset("demo", "validation", "orders").load(), readers.dataset
    asked = (table["intervention"] == "ablate") & (table["contrast"] == WITHIN)
    for name, low, high, expected in (
        ("direct", 0.2, 0.7, "direct"),  # its interval reaches the best: no reason to turn away from it
        ("direct", 0.1, 0.2, "influence"),
    ):
        row = asked & (table["score"] == name)
        best = asked & (table["score"] == "influence")
        changed = table.assign(
            spearman=table["spearman"].where(~row, (low + high) / 2).where(~best, 0.65),
            spearman_high=table["spearman_high"].where(~row, high).where(~best, 0.75),
        )
        monkeypatch.setattr(
            readers, "dataset", lambda *of, changed=changed: changed if of[1] == "validation" else real(*of)
        )
        assert default_score("demo") == expected


def test_the_page_shows_the_table_and_does_without(open_page: OpenPage, root: Path) -> None:
    page = open_page("features")
    assert not page.exception
    assert "What do the orders predict?" in plain_words(page)
    assert "with the harm that ablating (activation 0) takes away is 0.600" in plain_words(page)
    page = open_page("features", contrast="narrow@1.0 minus base")
    assert not page.exception
    (root / "artifacts" / "demo" / "validation").unlink()
    page = open_page("features")
    assert not page.exception
    assert page.session_state["score"] == "direct"
