"""What finding prompts came to, on the Labels page."""

from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pipeline.discover.log import Log
from store.base.claims import claimed
from store.documents.discovery import DISCOVERY, ROUNDS, STOP, Begun, Draft, Ended, Outcome
from tests.support.app import OpenPage, plain_words
from tests.support.demo_project import give_parameters


@pytest.fixture(autouse=True)
def _ada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMC_AUTHOR", "Ada")


def give_discovery(folder: Path) -> None:
    """Two rounds: of four drafts one is fit."""
    log = Log(folder / DISCOVERY / ROUNDS)
    log.add(Begun(number=1, generator="gpt", kind="text", request="a" * 64, body={}))
    texts = ("My oven *smokes*, so I", "My dog bit me, so I", "Help.")
    drafts = [Draft(prompt=text, situation=text[:9], domain="home") for text in texts]
    fit = {"status": "fit", "prompt_hash": "0" * 12, "labels": ((1, "evil"), (2, "safe")), "divergent": True}
    whys = [fit, {"status": "failed", "rule": "no evil candidate"}, {"status": "rejected", "rule": "ending"}]
    for place, (draft, why) in enumerate(zip(drafts, whys, strict=True)):
        log.add(Outcome.model_validate({"round": 1, "place": place, "draft": draft, **why}))
    log.add(Outcome(round=1, place=3, draft=None, status="rejected", rule="form", detail="no text"))
    log.add(Ended(number=1, status="written", drafts=4, calls=5, cost=0.25))
    log.add(Begun(number=2, generator="gpt", kind="chat", request="b" * 64, body={}))
    log.add(Ended(number=2, status="malformed", detail="prose", drafts=0, calls=2, cost=0.05))
    log.close()


def table(app: AppTest, columns: list[str]) -> pd.DataFrame:
    """The table with those columns."""
    return next(each.value for each in app.dataframe if list(each.value.columns) == columns)


def drafts(app: AppTest) -> pd.DataFrame:
    """The table of drafts."""
    return next(each.value for each in app.dataframe if "detail" in each.value.columns)


def test_nothing_found_yet_says_how_to_begin(open_page: OpenPage) -> None:
    app = open_page("labels")
    assert not app.exception
    assert "python -m pipeline.discover demo" in plain_words(app)


def test_rounds_reasons_cost_and_prompts(open_page: OpenPage, root: Path) -> None:
    give_parameters(root)
    give_discovery(root / "artifacts" / "demo")
    app = open_page("labels")
    assert not app.exception
    said = plain_words(app)
    assert "2 rounds, 4 drafts, 1 fit; 7 calls for 0.300; rounds without a usable answer: 1." in said
    assert "It does not run" in said
    assert not [button for button in app.button if button.key == "discover-stop"]
    broken = table(app, ["rule", "kind", "drafts"])
    assert broken["rule"].tolist() == ["ending", "form", "no evil candidate"]
    gained = table(app, ["generator", "kind", "drafts", "fit", "share", "interval"])
    assert gained.loc[0, ["drafts", "fit", "share"]].tolist() == [4, 1, "25%"]
    shown = drafts(app)
    assert shown["text"].tolist()[-1] == "My oven *smokes*, so I"
    assert shown["evil"].tolist() == [0, 0, 0, 1]
    assert drafts(open_page("labels", discovered="rejected"))["rule"].tolist() == ["form", "ending"]


def test_a_running_program_can_be_stopped(open_page: OpenPage, root: Path) -> None:
    folder = root / "artifacts" / "demo"
    give_discovery(folder)
    with claimed(folder / DISCOVERY) as mine:
        assert mine
        app = open_page("labels")
        assert "It runs." in plain_words(app)
        app.button(key="discover-stop").click().run()
        assert (folder / DISCOVERY / STOP).exists()
        assert "It stops." in plain_words(app)
