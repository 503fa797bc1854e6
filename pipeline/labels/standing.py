"""How one person's labels of a prompt stand: what the screen shows of their events, drafts included."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.labels.actions import Label
from pipeline.labels.events import Event, RejectionEvent, TokenEvent

State = Literal["open", "submitted", "rejected"]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One person's labels of one prompt.

    Attributes
    ----------
    state
        Submitted: every candidate has one label, and it is final.
    marks
        Label by token id, of drafts or final.
    torn
        By token id: labels that two windows of this person gave side by side; they have none until one is
        chosen.
    comments
        Why, by token id.
    reason
        Why the prompt is rejected.
    seen
        Whether verdicts were shown: it has been submitted or rejected before.
    undoable
        Marks since it was last final, oldest first: token id, and the label that it had before.
    """

    state: State
    marks: Mapping[int, Label]
    torn: Mapping[int, tuple[str, ...]]
    comments: Mapping[int, str]
    reason: str
    seen: bool
    undoable: Sequence[tuple[int, Label | None]]


def token_leaves(events: Sequence[Event]) -> dict[int, list[TokenEvent]]:
    """What a person's events of a prompt say of each token and no other one replaces, drafts included."""
    found: dict[int, list[TokenEvent]] = defaultdict(list)
    for event in _leaves(events):
        if isinstance(event, TokenEvent):
            found[event.token].append(event)
    return found


def rejection_leaves(events: Sequence[Event]) -> list[RejectionEvent]:
    """What a person's events of a prompt say of its being unfit and no other one replaces."""
    return [event for event in _leaves(events) if isinstance(event, RejectionEvent)]


def _leaves(events: Sequence[Event]) -> list[Event]:
    replaced = {other for event in events for other in event.replaces}
    return [event for event in events if event.id not in replaced]


def standing(events: Sequence[Event], candidates: Sequence[int]) -> Standing:
    """How a prompt stands.

    Parameters
    ----------
    events
        One person's events of one prompt, in the journal's order; token ids are those of here (`localised`).
    candidates
        Token ids to label.
    """
    marks: dict[int, Label] = {}
    torn: dict[int, tuple[str, ...]] = {}
    comments: dict[int, str] = {}
    final: list[bool] = []
    leaves = token_leaves(events)
    for token in candidates:
        held = leaves.get(token, [])
        labels = {event.label for event in held}
        if len(labels) > 1:
            torn[token] = tuple(sorted(str(label or "no label") for label in labels))
        elif (label := next(iter(labels), None)) is not None:
            marks[token] = label
            comments[token] = "; ".join(event.comment for event in held if event.comment)
        final.append(token in marks and all(event.state == "submitted" for event in held))
    rejected = [event for event in rejection_leaves(events) if event.rejected]
    said = {event.token for event in events if isinstance(event, TokenEvent) and event.state == "submitted"}
    return Standing(
        state="rejected" if rejected else "submitted" if final and all(final) else "open",
        marks=marks,
        torn=torn,
        comments=comments,
        reason="; ".join(event.comment for event in rejected),
        seen=set(candidates) <= said or any(isinstance(event, RejectionEvent) for event in events),
        undoable=_undoable(events, candidates),
    )


def _undoable(events: Sequence[Event], candidates: Sequence[int]) -> list[tuple[int, Label | None]]:
    """A mark that returns to what the one before it replaced was its undoing."""
    by_id = {event.id: event for event in events if isinstance(event, TokenEvent)}
    done: list[tuple[int, Label | None]] = []
    for event in by_id.values():
        before = [by_id[other] for other in event.replaces if other in by_id]
        if event.state == "submitted" or any(other.state == "submitted" for other in before):
            # A final label ends what can be undone, and so does its reopening, which drafts it again.
            done = [each for each in done if each[0] != event.token]
        elif event.token in candidates:
            label_before = before[-1].label if before else None
            if done and done[-1] == (event.token, event.label) and label_before is not None:
                done.pop()
            elif event.label != label_before:
                done.append((event.token, label_before))
    return done


def by_prompt(events: Sequence[Event]) -> dict[str, list[TokenEvent | RejectionEvent]]:
    """One person's events of tokens and rejections by prompt hash, in the journal's order."""
    found: dict[str, list[TokenEvent | RejectionEvent]] = defaultdict(list)
    for event in events:
        if isinstance(event, TokenEvent | RejectionEvent):
            found[event.prompt_hash].append(event)
    return found
