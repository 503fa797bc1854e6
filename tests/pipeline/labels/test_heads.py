"""Which labels hold: by what replaces what, never by the clock."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels.events import Event, TokenEvent
from pipeline.labels.heads import PeoplesLabels, agreed, heads, peoples_labels
from tests.support.label_events import PROMPT, TEXTS, TOKENIZER, rejection, token_event


def people(*events: Event) -> PeoplesLabels:
    return peoples_labels(events, tokenizer=TOKENIZER, texts=TEXTS)


def labels(*events: Event, author: str = "Ada") -> dict[int, str]:
    return dict(people(*events).labels.get(author, {}).get(PROMPT, {}))


def test_a_later_label_stands_for_an_earlier_one() -> None:
    first = token_event("evil")
    second = token_event("safe", replaces=(first.id,))
    for order in ([first, second], [second, first]):
        assert labels(*order) == {1: "safe"}


def test_a_draft_counts_for_nothing_and_takes_nothing_away() -> None:
    first = token_event("evil")
    draft = token_event("safe", replaces=(first.id,), state="draft")
    assert labels(draft) == {}
    assert labels(first, draft) == {1: "evil"}
    submitted = token_event("safe", replaces=(draft.id,))
    assert labels(first, draft, submitted) == {1: "safe"}


def test_two_heads_are_unsure_until_settled() -> None:
    left, right = token_event("evil"), token_event("safe")
    assert labels(left, right) == {1: "unsure"}
    assert labels(left, token_event("evil")) == {1: "evil"}
    assert labels(left, right, token_event("evil", replaces=(left.id, right.id))) == {1: "evil"}
    assert labels(left, token_event(None)) == {1: "unsure"}


def test_a_label_that_is_taken_back_is_none() -> None:
    """Unlabelled, which is never safe (trap 13)."""
    first = token_event("safe")
    assert labels(first, token_event(None, replaces=(first.id,))) == {}


def test_authors_do_not_touch_each_other() -> None:
    found = people(token_event("evil"), token_event("safe", author="Bob"))
    assert {author: of[PROMPT] for author, of in found.labels.items()} == {
        "Ada": {1: "evil"},
        "Bob": {1: "safe"},
    }


def test_under_another_tokenizer_the_text_decides() -> None:
    elsewhere = token_event("evil", token=900, text=" bet", tokenizer="there")
    assert labels(elsewhere) == {2: "evil"}
    assert not people(elsewhere).orphaned


@pytest.mark.parametrize(("text", "texts"), [(" unknown", TEXTS), (" bet", [*TEXTS, " bet"])])
def test_a_text_that_is_not_one_token_is_orphaned(text: str, texts: list[str]) -> None:
    event = token_event("evil", token=900, text=text, tokenizer="there")
    found = peoples_labels([event], tokenizer=TOKENIZER, texts=texts)
    assert not found.labels.get("Ada", {}).get(PROMPT)
    assert found.orphaned == (event,)


def test_who_rejects_a_prompt_and_does_not_has_yet_to_settle_it() -> None:
    first = rejection()
    assert people(first).rejections == {"Ada": {PROMPT: True}}
    assert people(first, rejection(False)).rejections == {"Ada": {PROMPT: True}}
    assert people(first, rejection(False, replaces=(first.id,))).rejections == {"Ada": {PROMPT: False}}


def test_raters_who_differ_are_unsure() -> None:
    assert agreed(["safe", "safe"]) == "safe"
    assert agreed(["safe", "unsure"]) == "unsure"


@st.composite
def histories(draw: st.DrawFn) -> list[TokenEvent]:
    """Events of which each may replace some of those before it, in any order on disk."""
    events: list[TokenEvent] = []
    for _ in range(draw(st.integers(1, 8))):
        replaces = draw(st.lists(st.sampled_from([e.id for e in events]), unique=True)) if events else []
        state = draw(st.sampled_from(["draft", "submitted"]))
        events.append(token_event(replaces=tuple(replaces), state=state))
    return draw(st.permutations(events))


@given(histories())
def test_heads_are_what_no_submitted_event_reaches(events: list[TokenEvent]) -> None:
    graph = nx.DiGraph((event.id, other) for event in events for other in event.replaces)
    graph.add_nodes_from(event.id for event in events)
    submitted = {event.id for event in events if event.state == "submitted"}
    reached = {other for one in submitted for other in nx.descendants(graph, one)}
    assert {event.id for event in heads(events)} == submitted - reached
