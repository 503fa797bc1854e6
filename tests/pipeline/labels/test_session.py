"""What a person does becomes events that say it: after any marks, undoing and reloading, in two windows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.label_queue import RANDOM, Draw
from pipeline.labels.actions import SAID, AnyAction, Label
from pipeline.labels.events import Event, RejectionEvent, TokenEvent
from pipeline.labels.heads import heads, localised, peoples_labels
from pipeline.labels.journal import append, read_events
from pipeline.labels.session import Task, answer
from pipeline.labels.standing import Standing, by_prompt, standing
from store.base.errors import UserError
from tests.support.label_events import PROMPT, TEXTS, TOKENIZER, token_event

CANDIDATES = (0, 1, 2)
LABELS: tuple[Label, ...] = ("evil", "safe", "unsure")
DRAW = Draw(number=0, prompt=PROMPT, stratum=RANDOM, probability=0.25, remaining=4)
TASK = Task(
    author="Ada",
    prompt_hash=PROMPT,
    candidates=CANDIDATES,
    texts=TEXTS,
    tokenizer=TOKENIZER,
    draw=DRAW,
    revealed=("rubric", "lexicon"),
)


def action(kind: str, **fields: Any) -> AnyAction:
    said = {"session": "one", "actions": [{"kind": kind, "number": 1, "prompt": PROMPT, **fields}]}
    return SAID.validate_python(said).actions[0]


def done(*actions: AnyAction, events: Sequence[Event] = (), task: Task = TASK) -> list[Event]:
    """Events after actions, one after the other."""
    found = list(events)
    for each in actions:
        found += answer(each, task, found)
    return found


def stands(events: Sequence[Event]) -> Standing:
    return standing(events, CANDIDATES)


def tokens(events: Sequence[Event]) -> list[TokenEvent]:
    return [event for event in events if isinstance(event, TokenEvent)]


ALL_EVIL = tuple(action("mark", token=token, label="evil") for token in CANDIDATES)
SUBMIT = action("submit", marks=dict.fromkeys(CANDIDATES, "evil"))
REOPEN = action("reopen")


@dataclass
class Window:
    """What one browser shows, driven beside the journal: a perfect memory of it."""

    marks: dict[int, Label] = field(default_factory=dict)
    undo: list[tuple[int, Label | None]] = field(default_factory=list)

    def mark(self, token: int, label: Label | None, *, noted: bool = True) -> AnyAction:
        before = self.marks.get(token)
        if noted and before != label:
            self.undo.append((token, before))
        self.marks.pop(token, None)
        if label is not None:
            self.marks[token] = label
        return action("mark", token=token, label=label)

    def undone(self) -> AnyAction | None:
        return self.mark(*self.undo.pop(), noted=False) if self.undo else None

    def reload(self, now: Standing) -> None:
        assert now.marks == self.marks
        self.undo = list(now.undoable)


MARKS = st.tuples(st.sampled_from(CANDIDATES), st.sampled_from([*LABELS, None]))
KEYS = st.lists(st.one_of(MARKS, st.sampled_from(["undo", "reload", "enter", "reopen"])), max_size=30)


@given(KEYS)
def test_the_journal_says_what_the_screen_said(keys: list[Any]) -> None:
    window, events = Window(), []
    for key in keys:
        is_open = stands(events).state == "open"
        if key == "reload":
            window.reload(stands(events))
        elif key == "enter":
            events = done(action("submit", marks=window.marks), events=events)
            if stands(events).state == "submitted":
                window.undo = []
        elif key == "reopen":
            events = done(REOPEN, events=events)
        elif is_open and key == "undo":
            if (step := window.undone()) is not None:
                events = done(step, events=events)
        elif is_open:
            events = done(window.mark(*key), events=events)
        now = stands(events)
        assert now.marks == window.marks
        assert not now.torn
        counted = peoples_labels(events, tokenizer=TOKENIZER, texts=TEXTS).labels
        final = counted.get("Ada", {}).get(PROMPT, {})
        assert final == (window.marks if now.state == "submitted" else {})


@given(st.lists(st.tuples(st.sampled_from("ab"), MARKS), max_size=20), st.randoms(use_true_random=False))
def test_two_windows_lose_nothing(keys: list[tuple[str, Any]], random: Any) -> None:
    """Each window reads the journal before it writes; what it has read may be old."""
    journal: list[Event] = []
    seen: dict[str, list[Event]] = {"a": [], "b": []}
    asked = []
    for window, (token, label) in keys:
        if random.random() < 0.6:
            seen[window] = list(journal)
        new = answer(action("mark", token=token, label=label), TASK, seen[window])
        asked += new
        journal += new
        seen[window] += new
    assert journal == asked
    now = stands(journal)
    leaves = {event.id for event in tokens(journal)} - {one for event in journal for one in event.replaces}
    for token in CANDIDATES:
        said = {event.label for event in tokens(journal) if event.id in leaves and event.token == token}
        if len(said) > 1:
            assert token in now.torn, "two answers are told, not chosen from"
        else:
            assert now.marks.get(token) == next(iter(said), None)
    settled = done(action("submit", marks=dict.fromkeys(CANDIDATES, "unsure")), events=journal)
    assert stands(settled).state == "submitted"
    assert len({event.token for event in tokens(heads(settled))}) == len(heads(settled)) == len(CANDIDATES)


def test_a_mark_that_is_there_already_is_not_written_again() -> None:
    once = done(*ALL_EVIL)
    assert done(*ALL_EVIL, events=once) == once
    final = done(SUBMIT, events=once)
    assert done(SUBMIT, SUBMIT, events=final) == final
    assert done(action("mark", token=0, label=None)) == []


def test_what_lacks_a_label_is_not_submitted_and_not_lost() -> None:
    events = done(action("submit", marks={0: "evil", 1: "safe"}))
    assert [event.state for event in events] == ["draft", "draft"]
    assert stands(events).marks == {0: "evil", 1: "safe"}
    assert stands(events).state == "open"


def test_submitted_blind_and_told_so_where_it_is_changed_after_all_was_seen() -> None:
    first = done(*ALL_EVIL, SUBMIT)
    assert {event.shown for event in tokens(first)} == {()}
    changed = done(REOPEN, action("mark", token=1, label="safe"), events=first)
    assert stands(changed).state == "open"
    assert stands(changed).marks == {0: "evil", 1: "safe", 2: "evil"}
    assert not heads(changed) or all(event.label is None for event in tokens(heads(changed)))
    again = done(action("submit", marks={0: "evil", 1: "safe", 2: "evil"}), events=changed)
    assert {event.shown for event in tokens(again[len(first) :])} == {("rubric", "lexicon")}


def test_a_comment_replaces_the_label_and_leaves_it_as_blind_as_it_was() -> None:
    explain = action("explain", comments={1: " not on its own ", 2: " "})
    events = done(*ALL_EVIL, SUBMIT, explain)
    (new,) = (event for event in tokens(heads(events)) if event.comment)
    assert (new.token, new.label, new.comment, new.shown) == (1, "evil", "not on its own", ())
    assert stands(events).comments[1] == "not on its own"
    assert done(explain, events=events) == events, "said once"
    assert done(explain) == [], "nothing is final"


def test_a_prompt_is_rejected_for_a_reason_and_taken_back_with_its_drafts() -> None:
    events = done(ALL_EVIL[0], action("reject", reason="ends in a word"))
    now = stands(events)
    assert (now.state, now.reason, now.seen) == ("rejected", "ends in a word", True)
    assert peoples_labels(events, tokenizer=TOKENIZER, texts=TEXTS).rejections == {"Ada": {PROMPT: True}}
    back = stands(done(REOPEN, events=events))
    assert (back.state, back.marks) == ("open", {0: "evil"})


@pytest.mark.parametrize("kind", ["skip", "reject"])
def test_a_draw_is_written_down_once_whatever_became_of_it(kind: str) -> None:
    fields = {"reason": "no end"} if kind == "reject" else {}
    events = done(action(kind, **fields))
    (event,) = tokens(events)
    assert (event.stratum, event.probability, event.state, event.label) == (RANDOM, 0.25, "draft", None)
    assert len(tokens(done(action("skip"), events=events))) == 1
    by_hand = done(action(kind, **fields), task=replace(TASK, draw=None))
    assert not tokens(by_hand)


def test_a_prompt_chosen_by_hand_has_no_stratum() -> None:
    (event,) = tokens(done(ALL_EVIL[0], task=replace(TASK, draw=None)))
    assert (event.stratum, event.probability) == (None, None)


def test_a_token_that_is_no_candidate_is_refused() -> None:
    with pytest.raises(UserError, match=f"Token 4 is no candidate of prompt {PROMPT}"):
        done(action("mark", token=4, label="evil"))


def test_imported_labels_are_no_verdicts_seen() -> None:
    events = [token_event("evil", token=1)]
    now = stands(events)
    assert (now.state, now.marks, now.seen) == ("open", {1: "evil"}, False)


def test_labels_of_another_tokenizer_stand_where_their_text_is_one_token() -> None:
    other = token_event("safe", token=99, text=" gamble", tokenizer="elsewhere")
    orphan = token_event("safe", token=3, text=" split", tokenizer="elsewhere")
    here = localised([other, orphan, token_event(token=2)], tokenizer=TOKENIZER, texts=TEXTS)
    assert stands(here).marks == {1: "safe", 2: "evil"}
    changed = done(action("mark", token=1, label="evil"), events=here)
    assert changed[-1].replaces == (other.id,)


def test_an_undone_reopening_and_marks_after_it_can_be_undone() -> None:
    events = done(*ALL_EVIL, SUBMIT, REOPEN)
    assert stands(events).undoable == []
    events = done(action("mark", token=1, label="safe"), events=events)
    assert stands(events).undoable == [(1, "evil")]


def test_the_journal_takes_and_gives_back_what_was_answered(tmp_path: Path) -> None:
    events = done(*ALL_EVIL, SUBMIT, REOPEN, action("reject", reason="odd"))
    append("Ada", events, tmp_path)
    assert read_events(tmp_path) == events
    assert by_prompt(events) == {PROMPT: events}
    assert isinstance(events[-1], RejectionEvent)


@pytest.mark.parametrize(
    "said",
    [
        None,
        {"session": "one"},
        {"session": "one", "actions": [{"kind": "mark", "number": 1, "prompt": "../etc", "token": 1}]},
        {"session": "", "actions": []},
        {"session": "one", "actions": [{"kind": "erase", "number": 1, "prompt": PROMPT}]},
        {"session": "one", "actions": [{"kind": "reject", "number": 1, "prompt": PROMPT, "reason": " "}]},
    ],
)
def test_what_no_browser_of_ours_says_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="validation error"):
        SAID.validate_python(said)
