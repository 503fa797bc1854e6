"""The tab of answers under steering: leaderboards beside the random band, what is missing, links."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from dashboard.data import steered
from pipeline.analysis.steered_tables import steered_groups
from store.datasets.groups import write_dataset
from store.schema.steered import ABLATED, ADDED, BASELINE, MEAN_DIFFERENCE, RANDOM_DIRECTION, STEERED
from tests.support.app import OpenPage, plain_words
from tests.support.demo import PROVENANCE
from tests.support.demo.steered import NEVER, STEERED_PARAMS
from tests.support.demo_project import own

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def test_the_leaderboard_holds_candidates_against_random_ones(root: Path) -> None:
    for side in (ADDED, ABLATED):
        frame = steered.entries("demo", side)
        board = steered.leaderboard(frame, 0.05)
        assert board["effect"].dropna().is_monotonic_decreasing
        assert set(board.loc[board["found"], "size"]) == {1}, "sets have no random ones here, so no p"
        assert board["found"].sum() == 1
        low, high, n = steered.band(frame, "feature", 1)
        assert low < high
        # What is ablated is held against its like: directions are as long as the mean difference.
        along = (frame["kind"] == RANDOM_DIRECTION).sum()
        assert along > 0
        assert n == (125 if side == ADDED else 125 - along)
        assert (board.loc[board["kind"] == "feature", "random_high"] == high).all()
        mean = board.loc[board["kind"] == MEAN_DIFFERENCE, "n_random"]
        assert (mean == (n if side == ADDED else along)).all()
        assert np.isnan(board.loc[board["size"] == 3, "random_high"]).all()
        assert BASELINE not in set(board["kind"])
        single = board[board["kind"] == "feature"]
        places = zip(single["called"], single["layer_of"], single["index_of"], strict=True)
        assert all(called.startswith(f"L{layer}/{index}") for called, layer, index in places)
        assert board.loc[board["size"] == 3, "called"].iloc[0].startswith("3 together: L")


def test_the_tab_says_what_was_found_and_what_is_missing(open_page: OpenPage) -> None:
    page = open_page("evaluation", evaluated="Steered")
    assert not page.exception
    said = plain_words(page)
    assert "Of the answers of base as it is, " in said
    assert "1 of 5 features and sets raise that beyond what random ones do; most of all L" in said
    assert f"the first: {NEVER}" in said
    assert "125 random features and directions: nine of ten" in said
    board = steered.leaderboard(steered.entries("demo", ADDED), 0.05)
    first = board[board["found"]].iloc[0]
    page = open_page("evaluation", evaluated="Steered", feature=f"L{first['layer_of']}/{first['index_of']}")
    card = page.button(key="steered-card")
    assert first["called"].split()[0] in card.label.replace("\\", "")
    assert not card.click().run().exception
    page = open_page("evaluation", evaluated="Steered", **{"steered-side": "ablated in the adapted model"})
    assert "Of the answers of general@1.0 as it is, " in plain_words(page)
    assert " random features: nine of ten" in plain_words(page)


def test_where_nothing_was_steered_the_tab_says_why(root: Path, open_page: OpenPage) -> None:
    folder = own(root, "steered")
    nothing = steered_groups(
        [], None, questions=[], doses=[1.0], steps=1, variants={ADDED: "base", ABLATED: "x"}, confidence=0.95
    )
    under = PROVENANCE | {"parameters": {"steered": STEERED_PARAMS}}
    write_dataset(folder, STEERED, nothing, provenance=under)
    assert "Nothing was steered: it takes two open questions" in plain_words(
        open_page("evaluation", evaluated="Steered")
    )
    shutil.rmtree(folder)
    assert "What features do to answers to open questions" in plain_words(
        open_page("evaluation", evaluated="Steered")
    )
