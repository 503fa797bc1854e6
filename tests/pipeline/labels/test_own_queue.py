"""A person's queue: drawn anew the same from their journal, put off to the end, complete."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.analysis.label_queue import DISAGREE, EVIL_DIVERGENT, RANDOM, Draw, draw_prompts
from pipeline.labels.actions import Mark, Reject, Submit, Turn
from pipeline.labels.events import Event
from pipeline.labels.own_queue import Queue, drawn_prompts, queue
from pipeline.labels.session import Task, answer
from pipeline.labels.standing import by_prompt, standing
from pipeline.labels.strata import differ, strata
from pipeline.params.project import load_params
from tests.support.label_events import TEXTS, TOKENIZER, rejection, token_event
from tests.support.places import ROOT

PROMPTS = [f"{number:012x}" for number in range(12)]
STRATA = {EVIL_DIVERGENT: np.arange(12) < 4, DISAGREE: np.arange(12) == 5}
SHARES = load_params(ROOT / "params.yaml").labels.queue.model_dump()
CANDIDATES = (1, 2)


def queue_of(events: Sequence[Event]) -> Queue:
    done = [prompt for prompt, of in by_prompt(events).items() if standing(of, CANDIDATES).state != "open"]
    return queue(events, PROMPTS, STRATA, SHARES, done=done, seed=3, author="Ada")


def task(prompt: str, draw: Draw | None) -> Task:
    return Task(
        author="Ada",
        prompt_hash=prompt,
        candidates=CANDIDATES,
        texts=TEXTS,
        tokenizer=TOKENIZER,
        draw=draw,
        revealed=(),
    )


def labelled(prompt: str, draw: Draw | None, events: Sequence[Event] = ()) -> list[Event]:
    said = Submit(number=1, prompt=prompt, kind="submit", marks={1: "evil", 2: "safe"})
    return answer(said, task(prompt, draw), by_prompt(events).get(prompt, []))


def skipped(prompt: str, draw: Draw | None) -> list[Event]:
    return answer(Turn(number=1, prompt=prompt, kind="skip"), task(prompt, draw), [])


def test_the_journal_tells_all_draws_whatever_became_of_them() -> None:
    events: list[Event] = []
    wanted = draw_prompts(PROMPTS, STRATA, SHARES, [], 12, seed=3, author="Ada")
    for number in range(12):
        now = queue_of(events)
        assert now.drawn == wanted[:number]
        assert now.coming == wanted[number]
        draw = wanted[number]
        if number % 3 == 1:
            events += skipped(draw.prompt, draw)
        elif number % 3 == 2:
            said = Reject(number=1, prompt=draw.prompt, kind="reject", reason="no end")
            events += answer(said, task(draw.prompt, draw), [])
        else:
            events += labelled(draw.prompt, draw)
    last = queue_of(events)
    put_off = [draw.prompt for number, draw in enumerate(wanted) if number % 3 == 1]
    assert last.coming is None
    assert last.waiting == put_off
    assert last.after(put_off[-1]) == put_off[0]
    assert last.after(wanted[0].prompt) == put_off[0]
    for prompt in put_off:
        events += labelled(prompt, last.draw_of(prompt), events)
    assert queue_of(events).waiting == []
    assert queue_of(events).after(PROMPTS[0]) is None
    assert queue_of(events).drawn == wanted


def test_what_was_labelled_by_hand_is_not_drawn() -> None:
    first = draw_prompts(PROMPTS, STRATA, SHARES, [], 1, seed=3, author="Ada")[0].prompt
    events = labelled(first, None)
    now = queue_of(events)
    assert now.drawn == []
    assert now.coming is not None
    assert now.coming.prompt != first
    assert now.coming.remaining == 11
    events += labelled(now.coming.prompt, now.coming)
    assert drawn_prompts(events, PROMPTS) == [now.coming]
    assert queue_of(events).draw_of(first) is None


def test_a_prompt_that_is_no_more_keeps_its_number() -> None:
    gone = "f" * 12
    events = labelled(gone, Draw(number=0, prompt=gone, stratum="evil", probability=0.5, remaining=13))
    now = queue_of(events)
    assert [draw.number for draw in now.drawn] == [0]
    assert now.coming is not None
    assert now.coming.number == 1


def test_one_goes_on_where_one_left_off() -> None:
    start = queue_of([])
    assert start.coming is not None
    first = start.coming.prompt
    assert start.resumed(None, None) == first
    assert start.resumed(PROMPTS[0] if first != PROMPTS[0] else PROMPTS[1], None) == first
    mark = Mark(number=1, prompt=first, kind="mark", token=1, label="evil")
    events = answer(mark, task(first, start.coming), [])
    begun = queue_of(events)
    assert begun.coming is not None
    assert begun.resumed(None, first) == first, "begun, and not final"
    assert begun.resumed(begun.coming.prompt, first) == begun.coming.prompt, "what the link names, and waits"
    events += labelled(first, start.coming, events)
    final = queue_of(events)
    assert final.resumed(first, first) == first, "what was made final last is seen again"
    assert final.resumed(first, None) != first


def test_rejections_of_prompts_nobody_drew_are_of_the_hand() -> None:
    events: list[Event] = [rejection(prompt=PROMPTS[2]), token_event(prompt=PROMPTS[3], state="draft")]
    assert drawn_prompts(events, PROMPTS) == []
    assert queue_of(events).done == [PROMPTS[2]]


OWN = {"a": {"base": {1: 0.9}, "bad@1.0": {2: 0.9}}, "b": {"base": {1: 0.5}, "bad@1.0": {1: 0.9}}}


@pytest.mark.parametrize(
    ("judged", "counted", "evil", "disagree"),
    [
        ({}, {"a": {1: "safe", 2: "evil"}, "b": {1: "evil"}}, [True, False], [False, False]),
        ({}, {"a": {1: "safe", 2: "unsure"}}, [False, False], [False, False]),
        ({"a": {"x": {1: "safe", 2: "safe"}}}, {"a": {1: "safe", 2: "evil"}}, [False, False], [False, False]),
        (
            {"a": {"x": {1: "safe", 2: "safe"}, "y": {1: "safe", 2: "evil"}}, "b": {"x": {1: "safe"}}},
            {},
            [True, False],
            [True, False],
        ),
    ],
)
def test_strata_are_what_judges_say_or_else_what_counts(
    judged: dict[str, dict[str, dict[int, str]]],
    counted: dict[str, dict[int, str]],
    evil: list[bool],
    disagree: list[bool],
) -> None:
    found = strata(["a", "b"], OWN, "bad@1.0", judged, counted)  # type: ignore[arg-type]
    assert found[EVIL_DIVERGENT].tolist() == evil
    assert found[DISAGREE].tolist() == disagree
    assert set(found) | {RANDOM} == set(SHARES)


def test_who_labels_less_does_not_differ() -> None:
    assert differ({1: "evil"}, {1: "evil", 2: "safe"}) == []
