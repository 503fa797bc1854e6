"""Labels that are newer than the store: said, and ranked by where a person asks for it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st

from dashboard.data import live_labels, readers
from pipeline.analysis.scores import PromptScores, labelled_score
from pipeline.labels.events import RejectionEvent, TokenEvent, stamp
from pipeline.labels.journal import append
from store.collections.item import Item
from store.documents.token_texts import tokenizer_fingerprint
from tests.support import demo
from tests.support.app import OpenPage
from tests.support.demo_project import features_made_with

CONTRAST = "evil-safe|general@1.0"
PROMPT = demo.make_prompts()[0]


@pytest.fixture
def project(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose features say what they were made with, as the stage writes it."""
    monkeypatch.setenv("EMC_AUTHOR", "Ada")
    features_made_with(root)
    return root


def say(root: Path, *labels: tuple[str, str]) -> None:
    events = [
        TokenEvent.model_validate(
            {
                **stamp("Ada"),
                "kind": "token",
                "state": "submitted",
                "prompt_hash": PROMPT.hash,
                "token": demo.ID[word],
                "text": word,
                "tokenizer": tokenizer_fingerprint(demo.WORDS),
                "label": label,
            }
        )
        for word, label in labels
    ]
    append("Ada", events, root / "inputs/labels")


def test_without_newer_labels_nothing_is_offered(open_page: OpenPage, project: Path) -> None:
    app = open_page("features", contrast=CONTRAST)
    assert not [toggle for toggle in app.toggle if toggle.key == "newest-labels"]


def test_a_label_moves_the_ranking_that_is_asked_for(open_page: OpenPage, project: Path) -> None:
    say(project, (demo.EVIL[0], "safe"), (demo.SAFE[0], "evil"), (demo.SAFE[1], "safe"))
    app = open_page("features", contrast=CONTRAST)
    assert not app.exception
    toggle = app.toggle(key="newest-labels")
    # One is as the store has it.
    assert "2 are newer" in toggle.label
    before = app.dataframe[0].value.set_index("feature")["effect"]
    toggle.set_value(True).run()
    assert not app.exception
    after = app.dataframe[0].value.set_index("feature")["effect"]
    assert not np.allclose(before, after.reindex(before.index), equal_nan=True)
    live = live_labels.ranking("demo", CONTRAST, "all", "direct")
    assert len(live) == len(readers.ranking("demo", CONTRAST, "all"))
    assert np.isfinite(live["effect"]).all()
    app.segmented_control(key="score").set_value("activation").run()
    assert not [each for each in app.toggle if each.key == "newest-labels"]


def test_a_label_scores_the_prompt_that_it_is_of(
    project: Path, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage
) -> None:
    scored: list[str] = []

    def counted(item: Item, *others: Any) -> PromptScores:
        scored.append(item.prompt_hash)
        return labelled_score(item, *others)

    monkeypatch.setattr("pipeline.analysis.live_ranking.labelled_score", counted)
    st.cache_resource.clear()
    open_page("features", contrast=CONTRAST)
    before = live_labels.ranking("demo", CONTRAST, "all", "direct")
    assert len(scored) == len(set(scored)) > 10
    scored.clear()
    say(project, (demo.EVIL[0], "safe"))
    after = live_labels.ranking("demo", CONTRAST, "all", "direct")
    assert scored == [PROMPT.hash]
    assert not np.allclose(before["effect"], after["effect"])
    live_labels.ranking("demo", CONTRAST, demo.DOMAINS[0], "direct")
    assert scored == [PROMPT.hash], "another domain is of the same scores"


def test_a_rejection_counts_and_a_malformed_journal_says_nothing(open_page: OpenPage, project: Path) -> None:
    event = RejectionEvent.model_validate(
        {
            **stamp("Ada"),
            "kind": "rejection",
            "state": "submitted",
            "prompt_hash": PROMPT.hash,
            "rejected": True,
        }
    )
    append("Ada", [event], project / "inputs/labels")
    assert live_labels.newer("demo") == 1
    with (project / "inputs/labels/ada.jsonl").open("a") as file:
        file.write("[]\n{}\n")
    assert live_labels.newer("demo") == 0
    app = open_page("features", contrast=CONTRAST)
    assert not app.exception
