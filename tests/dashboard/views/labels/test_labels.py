"""The Labels page: what it shows of a prompt and when, how it goes on, what it says where it cannot write."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from dashboard.data import labelling
from dashboard.pages import COMPARE, LABELS
from dashboard.views.labels.desk import desk
from pipeline.labels.actions import Explain, Reject, Submit
from pipeline.labels.candidates import candidates_of, own_candidates
from pipeline.labels.events import Event
from pipeline.labels.journal import FOLDER, append
from pipeline.labels.session import Task, answer
from store.collections.reader import open_collection
from store.documents.token_texts import tokenizer_fingerprint
from tests.support import demo
from tests.support.app import OpenPage, plain_words
from tests.support.demo.verdicts import REASON, STRICT, TIMID, give_verdicts, label_of
from tests.support.demo_project import give_parameters
from tests.support.label_desk import shown

PROMPTS = {prompt.hash: prompt for prompt in demo.make_prompts()}


@pytest.fixture
def judged(root: Path) -> None:
    give_verdicts(root / "artifacts" / "demo")


def candidates(root: Path, prompt: str) -> list[int]:
    return candidates_of(own_candidates(open_collection(root / "artifacts" / "demo" / "candidates"), prompt))


def task(root: Path, prompt: str) -> Task:
    return Task(
        author="Ada",
        prompt_hash=prompt,
        candidates=candidates(root, prompt),
        texts=demo.WORDS,
        tokenizer=tokenizer_fingerprint(demo.WORDS),
        draw=None,
        revealed=(),
    )


def labelled(root: Path, prompt: str, judge: str = STRICT) -> list[Event]:
    """Make a prompt final, every label a judge's."""
    marks = {token: label_of(judge, token) for token in candidates(root, prompt)}
    events = answer(Submit(number=1, prompt=prompt, kind="submit", marks=marks), task(root, prompt), [])
    append("Ada", events, root / FOLDER)
    return events


def test_one_prompt_with_both_variants_candidates_and_how_they_go_on(open_page: OpenPage, root: Path) -> None:
    app = open_page("labels")
    assert not app.exception
    assert "0 of 16 prompts, 0 candidates. Labels are kept for Ada in" in plain_words(app).replace("*", "")
    data = shown(app)
    prompt = PROMPTS[data["prompt"]]
    assert [chip["text"] for chip in data["chips"]][:3] == ["<bos>", "User", ":"]
    assert [each["token"] for each in data["candidates"]] == candidates(root, prompt.hash)
    assert [variant["name"] for variant in data["variants"]] == ["base", "general@1.0"]
    own = own_candidates(open_collection(root / "artifacts" / "demo" / "candidates"), prompt.hash)
    for each in data["candidates"]:
        for bar, variant in zip(each["bars"], ("base", "general@1.0"), strict=True):
            assert (bar["number"] == "—") == (each["token"] not in own[variant])
    assert all(each["text"].startswith("·") for each in data["candidates"])
    assert app.session_state["prompt"] == prompt.hash, "the sidebar shows it, too"
    assert not (root / FOLDER).exists(), "nothing is written before anything is said"


def test_candidates_are_shown_without_samples(open_page: OpenPage, root: Path) -> None:
    (root / "artifacts" / "demo" / "samples").unlink()
    app = open_page("labels")
    assert not app.exception
    assert not any(each["samples"] for each in shown(app)["candidates"])


@pytest.mark.usefixtures("judged")
def test_nothing_of_verdicts_lexicon_and_draw_reaches_the_browser_before_labels_are_final(
    open_page: OpenPage, root: Path
) -> None:
    data = shown(open_page("labels"))
    text = json.dumps(data)
    assert not any(each["verdicts"] for each in data["candidates"])
    assert not any(word in text for word in (STRICT, TIMID, REASON, "lexicon", "Drawn from"))
    events = labelled(root, data["prompt"])
    token = next(each for each in candidates(root, data["prompt"]) if label_of(STRICT, each) == "evil")
    why = Explain(number=2, prompt=data["prompt"], kind="explain", comments={token: "it is"})
    append("Ada", answer(why, task(root, data["prompt"]), events), root / FOLDER)
    final = shown(open_page("labels", prompt=data["prompt"]))
    assert (final["prompt"], final["state"]) == (data["prompt"], "submitted")
    assert {said["rater"] for each in final["candidates"] for said in each["verdicts"]} == {
        STRICT,
        TIMID,
        "lexicon",
    }
    evil = [each["token"] for each in final["candidates"] if label_of(STRICT, each["token"]) == "evil"]
    assert final["differs"] == evil, "the timid judge is unsure of them"
    assert "not as a judge says: why?" in final["says"]
    assert {each["token"]: each["comment"] for each in final["candidates"]}[token] == "it is"


def test_the_queue_leads_and_a_picked_prompt_is_by_hand(open_page: OpenPage, root: Path) -> None:
    app = open_page("labels")
    first = shown(app)["prompt"]
    other = next(prompt for prompt in PROMPTS if prompt != first)
    app.selectbox(key="prompt").set_value(other).run()
    assert shown(app)["prompt"] == other
    assert app.radio(key="chosen").value == "by hand"
    app.radio(key="chosen").set_value("drawn for me").run()
    assert shown(app)["prompt"] == first
    app.switch_page(COMPARE.script).run()
    app.selectbox(key="prompt").set_value(other).run()
    app.switch_page(LABELS.script).run()
    assert shown(app)["prompt"] == first, "who comes to the page goes on with the queue"
    linked = open_page("labels", prompt=other, chosen="by hand")
    assert shown(linked)["prompt"] == other


def test_what_is_done_is_counted_and_filtered(open_page: OpenPage, root: Path) -> None:
    one, other = list(PROMPTS)[:2]
    labelled(root, one)
    reject = Reject(number=1, prompt=other, kind="reject", reason="ends within a word")
    append("Ada", answer(reject, task(root, other), []), root / FOLDER)
    app = open_page("labels")
    assert f"2 of 16 prompts, {len(candidates(root, one))} candidates" in plain_words(app)
    for state, n in (("to do", 14), ("final", 1), ("rejected", 1), ("not as a judge says", 0), ("all", 16)):
        app.segmented_control(key="labelled").set_value(state).run()
        assert not app.exception
        assert len(app.dataframe[0].value) == n, state
    app.selectbox(key="labelled-domain").set_value("finance").run()
    assert set(app.dataframe[0].value["domain"]) == {"finance"}
    rejected = shown(open_page("labels", prompt=other, chosen="by hand"))
    assert rejected["says"].startswith("Rejected: ends within a word")


def test_all_done_is_said(open_page: OpenPage, root: Path) -> None:
    for prompt in PROMPTS:
        labelled(root, prompt)
    first = next(iter(PROMPTS))
    assert "All 16 prompts are labelled" in plain_words(open_page("labels", prompt=first))


def test_without_an_author_one_sentence_says_how_to_be_one(
    open_page: OpenPage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EMC_AUTHOR")
    monkeypatch.setattr("pipeline.labels.author._of_git", lambda: "")
    app = open_page("labels")
    assert not app.exception
    assert "Set EMC_AUTHOR, or `git config user.name`" in plain_words(app)
    assert shown(app)["locked"]
    assert not (root / FOLDER).exists()


def test_a_malformed_line_is_a_sentence_with_its_place(open_page: OpenPage, root: Path) -> None:
    prompt = next(iter(PROMPTS))
    labelled(root, prompt)
    with (root / FOLDER / "ada.jsonl").open("a") as file:
        file.write('{"kind": "opinion"}\n')
    app = open_page("labels")
    assert not app.exception
    (error,) = app.error
    said = str(error.value).replace("\\", "")
    assert f"{FOLDER}/ada.jsonl, line {len(candidates(root, prompt)) + 1} is no event of a label" in said
    assert str(root) not in said
    assert shown(app)["problem"]


def test_strata_are_kept_until_something_changes(open_page: OpenPage, root: Path) -> None:
    open_page("labels")
    own = labelling.candidates("demo")
    first = labelling.label_strata("demo", own)
    assert labelling.label_strata("demo", own) is first
    give_verdicts(root / "artifacts" / "demo")
    judged = labelling.label_strata("demo", own)
    assert judged is not first
    assert judged["disagree"].all()


def choose_shares(root: Path, evil_divergent: float, disagree: float, random: float) -> None:
    give_parameters(root)
    path = root / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params["labels"]["queue"] = {"evil_divergent": evil_divergent, "disagree": disagree, "random": random}
    path.write_text(yaml.safe_dump(params), encoding="utf-8")


@pytest.mark.parametrize("inside", [True, False])
def test_draws_go_by_the_shares_of_params_yaml(
    open_page: OpenPage, root: Path, judged: None, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    """And so does the probability that is recorded: of four prompts in a stratum, or twelve outside."""
    choose_shares(root, 0.0, *((0.996, 0.004) if inside else (0.0, 1.0)))
    strata = {"evil_divergent": np.zeros(16, bool), "disagree": np.arange(16) < 4}
    monkeypatch.setattr(labelling, "label_strata", lambda profile, own: strata)
    draw = desk("demo").queue.coming
    assert draw is not None
    assert draw.stratum == ("disagree" if inside else "random")
    assert draw.probability == pytest.approx(0.996 / 4 + 0.004 / 16 if inside else 1 / 16)


def test_shares_that_are_not_whole_write_nothing(open_page: OpenPage, root: Path) -> None:
    choose_shares(root, 0.5, 0.25, 0.5)
    app = open_page("labels")
    assert not app.exception
    (error,) = app.error
    said = str(error.value).replace("\\", "")
    assert "parameter labels.queue: the shares of evil_divergent, disagree and random must add up" in said
    assert shown(app)["problem"]
