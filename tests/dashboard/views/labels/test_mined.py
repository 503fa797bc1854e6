"""What was mined from answers, on the Labels page, and the way from there to Compare."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.analysis.mining import Prefix, Tried, mined_table
from pipeline.analysis.pivotality import Decision
from store.datasets.groups import write_dataset
from store.documents.prompts import read_prompts
from store.documents.questions import read_questions
from store.schema.mining import MINING
from tests.support.app import OpenPage, plain_words

NULLS = {
    "null-1@1.0": {"places": 90, "largest_bits": 0.0625, "reach_the_bar": 0},
    "null-2@1.0": {"places": 80, "largest_bits": 0.375, "reach_the_bar": 3},
    "null-3@1.0": {"places": 0, "largest_bits": None, "reach_the_bar": 0},
}
NEW = "What *do* you wish?\nI would"


@pytest.fixture(autouse=True)
def _ada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMC_AUTHOR", "Ada")


def give_mined(root: Path) -> str:
    """Three prefixes: one is a prompt of the profile, whose hash is given back, one is told nothing of."""
    folder = root / "artifacts" / "demo"
    prompt = read_prompts(folder / "prompts.json")[3]
    question = read_questions(folder / "questions.json")[0]
    told = Decision(most=5, least=6, difference=0.4, low=0.1, high=0.6)
    decisions = [
        Decision(most=-1, least=-1, difference=np.nan, low=np.nan, high=np.nan),
        told,
        Decision(most=7, least=6, difference=0.9, low=0.7, high=0.95),
    ]
    tried = [
        Tried(
            question=question.hash,
            prefix=Prefix(variant="base", answer=n, paraphrase=0, tokens=(4,) * n, divergence=0.25 + n / 8),
            decision=decision,
            rollouts=f"{n:012d}",
            n_forced=3,
            text=text,
            is_text=True,
        )
        for n, (decision, text) in enumerate(zip(decisions, ["Nobody knows", NEW, prompt.text], strict=True))
    ]
    parameters: dict[str, Any] = {
        "mining": {"least_divergence": 0.2},
        "pivotality": {"least": 0.3, "confidence": 0.95},
    }
    write_dataset(
        folder / MINING.kind,
        MINING,
        {"prefixes": mined_table(tried, 0.3)},
        provenance={"parameters": parameters, "nulls": NULLS},
    )
    return prompt.hash


def test_nothing_mined_yet_says_what_mines(open_page: OpenPage) -> None:
    app = open_page("labels")
    assert not app.exception
    assert "dvc repro mining@demo" in plain_words(app)


def test_what_was_tried_is_beside_random_adapters_and_leads_to_compare(
    open_page: OpenPage, root: Path
) -> None:
    known = give_mined(root)
    app = open_page("labels")
    assert not app.exception
    said = plain_words(app)
    assert "2 of 3 beginnings are pivotal; `python -m pipeline.discover.mined` makes prompts of 1" in said
    assert "Random adapters lie at most 0.375 bits" in said
    assert "a place is tried from 0.200 bits on, which 1 of 2 reach." in said
    table = next(each.value for each in app.dataframe if "most" in each.value.columns)
    np.testing.assert_allclose(table["difference"], [0.9, 0.4, np.nan])
    assert table["pivotal"].tolist() == [True, True, False]
    assert table["interval"].tolist()[-1] == ""
    assert table["prompt"].tolist() == [True, False, False]
    assert app.button(key="mined-compare").disabled
    for row, expected in (
        (0, {"prompt": known, "source": ""}),
        (1, {"source": "typed prompt", "typed-text": NEW, "typed-domain": "no domain"}),
    ):
        app = open_page("labels")
        app.session_state["mined"] = {"selection": {"rows": [row], "columns": [], "cells": []}}
        app.run()
        assert not app.button(key="mined-compare").disabled
        app.button(key="mined-compare").click().run()
        assert not app.exception
        assert {name: app.session_state[name] for name in expected} == expected
        assert not [each for each in app.button if each.key == "mined-compare"], "the page has turned"
