"""Prompts that were only just found: labelled at once, blind like the others, and on no other page."""

import json
from pathlib import Path
from typing import Any

import pytest

from dashboard.data import discovery, labelling
from dashboard.pages import COMPARE
from dashboard.views.labels.desk import desk
from pipeline.labels.actions import Submit
from pipeline.labels.candidates import candidates_of
from pipeline.labels.events import TokenEvent
from pipeline.labels.journal import FOLDER, append, read_events
from pipeline.labels.session import answer
from tests.support.app import OpenPage, plain_words
from tests.support.demo.arrivals import EVIL_TOKEN, PAIR, SAFE_TOKEN, arrives
from tests.support.demo.verdicts import REASON, STRICT
from tests.support.label_desk import shown

NEW = "0123456789ab"


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "artifacts" / "demo"


def test_what_arrives_is_labelled_blind_and_is_on_labels_alone(
    open_page: OpenPage, root: Path, folder: Path
) -> None:
    app = open_page("labels")
    assert "0 of 16 prompts" in plain_words(app)
    assert "found since" not in plain_words(app)
    arrives(folder, NEW)
    app.run()
    assert "0 of 17 prompts" in plain_words(app)
    assert "1 prompt was found since the last run of the pipeline." in plain_words(app)
    app.selectbox(key="prompt").set_value(NEW).run()
    assert not app.exception
    data = shown(app)
    assert (data["prompt"], data["state"]) == (NEW, "open")
    assert [each["token"] for each in data["candidates"]] == candidates_of(labelling.candidates("demo")[NEW])
    assert {each["token"] for each in data["candidates"]} == {EVIL_TOKEN, SAFE_TOKEN}
    assert [variant["name"] for variant in data["variants"]] == list(PAIR)
    assert len(data["chips"]) == 3
    assert STRICT not in json.dumps(data)
    assert REASON not in json.dumps(data)
    # Final, and in the journal as of any prompt; then the judge is heard.
    at = desk("demo")
    said = Submit(number=1, prompt=NEW, kind="submit", marks={EVIL_TOKEN: "evil", SAFE_TOKEN: "evil"})
    append("Ada", answer(said, at.task(NEW), []), root / FOLDER)
    events = [event for event in read_events(root / FOLDER) if isinstance(event, TokenEvent)]
    assert {(event.prompt_hash, event.token, event.label) for event in events} == {
        (NEW, EVIL_TOKEN, "evil"),
        (NEW, SAFE_TOKEN, "evil"),
    }
    final = shown(app.run())
    assert final["state"] == "submitted"
    assert final["differs"] == [SAFE_TOKEN]
    heard = {said["rater"] for each in final["candidates"] for said in each["verdicts"]}
    assert STRICT in heard
    app.switch_page(COMPARE.script).run()
    assert not app.exception
    assert f"Prompt {NEW} was only just found" in plain_words(app)
    assert app.session_state["prompt"] != NEW


@pytest.mark.parametrize("kind", ["before it was kept", "another tokenizer", "failed", "one variant"])
def test_what_cannot_be_labelled_is_left_out(root: Path, folder: Path, kind: str) -> None:
    one = {PAIR[0]: ((SAFE_TOKEN, 0.5),)}
    changes: dict[str, Any] = {
        "before it was kept": {"prompt": None},
        "another tokenizer": {"tokenizer": "other"},
        "failed": {"status": "failed", "rule": "no evil candidate"},
        "one variant": {"candidates": one},
    }[kind]
    arrives(folder, NEW, **changes)
    assert NEW not in labelling.arrived("demo")
    assert NEW not in labelling.candidates("demo")


def test_what_stages_have_read_is_theirs_and_damaged_records_take_nothing_away(
    root: Path, folder: Path
) -> None:
    known = next(iter(labelling.candidates("demo")))
    before = labelling.candidates("demo")[known]
    arrives(folder, known, NEW)
    assert known in discovery.arrived("demo")
    assert list(labelling.arrived("demo")) == [NEW]
    assert labelling.candidates("demo")[known] == before
    (folder / discovery.DISCOVERY / discovery.ROUNDS).write_text("{}\n", encoding="utf-8")
    assert not labelling.arrived("demo")
    assert len(desk("demo").own) == 16


def test_it_is_drawn_as_what_its_judges_make_of_it(root: Path, folder: Path) -> None:
    arrives(folder, NEW)
    own = labelling.candidates("demo")
    strata = labelling.label_strata("demo", own)
    inside = dict(zip(own, strata["evil_divergent"], strict=True))
    assert inside[NEW]
    # More may arrive between two looks: strata are of the prompts that were asked about.
    arrives(folder, "ba9876543210")
    assert len(labelling.label_strata("demo", own)["disagree"]) == len(own) == 17
    assert len(desk("demo").own) == 18
