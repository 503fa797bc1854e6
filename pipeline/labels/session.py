"""One person labels one prompt: from what they do to the events that say so.

A draft is written for every mark, so that nothing is lost where a window closes. Whatever is written
replaces all that this person said of the token before, also in another window: the last word holds, and
every word stays in the journal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.analysis.label_queue import Draw
from pipeline.labels.actions import AnyAction, Explain, Label, Mark, Reject, Reopen, Submit
from pipeline.labels.events import Event, RejectionEvent, TokenEvent, stamp
from pipeline.labels.standing import Standing, rejection_leaves, standing, token_leaves
from store.base.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a person is asked of a prompt.

    Attributes
    ----------
    author, prompt_hash
        Who, and about which prompt.
    candidates
        Token ids to label.
    texts
        Text of every token id of the vocabulary.
    tokenizer
        Its fingerprint.
    draw
        How the prompt came into the person's queue; None: it was chosen by hand.
    revealed
        Whose labels are shown once the person's are final.
    """

    author: str
    prompt_hash: str
    candidates: Sequence[int]
    texts: Sequence[str]
    tokenizer: str
    draw: Draw | None
    revealed: Sequence[str]


def answer(action: AnyAction, task: Task, events: Sequence[Event]) -> list[Event]:
    """Events that say what a person did; none where the journal says so already.

    Parameters
    ----------
    action
        About the task's prompt.
    events
        All that this person said of the prompt so far, in the journal's order.

    Raises
    ------
    UserError
        A token is no candidate.
    """
    now = standing(events, task.candidates)
    match action:
        case Mark():
            return _labelled(task, events, now, {action.token: action.label}, "draft")
        case Submit():
            return _submitted(task, events, now, action)
        case Reject():
            rejection = _rejection(task, events, rejected=True, comment=action.reason)
            return [*_drawn(task, events), rejection]
        case Reopen():
            return _reopened(task, events, now)
        case Explain():
            return _explained(task, events, now, action)
    return _drawn(task, events) if action.kind == "skip" else []


def _labelled(
    task: Task,
    events: Sequence[Event],
    now: Standing,
    marks: dict[int, Label | None],
    state: Literal["draft", "submitted"],
) -> list[Event]:
    found: list[Event] = []
    leaves = token_leaves(events)
    for token, label in marks.items():
        if token not in task.candidates:
            raise UserError(
                f"Token {token} is no candidate of prompt {task.prompt_hash}; reload the page, its "
                "candidates have changed."
            )
        held = leaves.get(token, [])
        same = token not in now.torn and now.marks.get(token) == label
        if same and (state == "draft" or all(event.state == state for event in held)):
            continue
        found.append(_token_event(task, now, token, label, held, state=state))
    return found


def _submitted(task: Task, events: Sequence[Event], now: Standing, action: Submit) -> list[Event]:
    """What the screen said becomes final; where a candidate lacks a label, all stay drafts."""
    marks: dict[int, Label | None] = {**now.marks, **action.marks}
    whole = set(task.candidates) <= marks.keys()
    return _labelled(task, events, now, marks, "submitted" if whole else "draft")


def _reopened(task: Task, events: Sequence[Event], now: Standing) -> list[Event]:
    """Take back what is final, and keep it as drafts; of a rejected prompt only the rejection."""
    if now.state == "rejected":
        return [_rejection(task, events, rejected=False, comment="")]
    found: list[Event] = []
    leaves = token_leaves(events)
    for token, label in now.marks.items():
        held = leaves.get(token, [])
        if any(event.state == "submitted" for event in held):
            taken_back = _token_event(task, now, token, None, held, state="submitted")
            found += [taken_back, _token_event(task, now, token, label, [taken_back], state="draft")]
    return found


def _explained(task: Task, events: Sequence[Event], now: Standing, action: Explain) -> list[Event]:
    """The same labels with a comment: they were given before anything was shown, and say so still."""
    found: list[Event] = []
    leaves = token_leaves(events)
    for token, comment in action.comments.items():
        held = leaves.get(token, [])
        why = comment.strip()
        if now.state == "submitted" and token in now.marks and why and now.comments.get(token) != why:
            event = _token_event(task, now, token, now.marks[token], held, state="submitted")
            found.append(event.model_copy(update={"comment": why, "shown": held[-1].shown}))
    return found


def _drawn(task: Task, events: Sequence[Event]) -> list[Event]:
    """A draft without a label says that the prompt was drawn, unless an event says so already."""
    known = any(isinstance(event, TokenEvent) and event.stratum is not None for event in events)
    if task.draw is None or known or not task.candidates:
        return []
    token = task.candidates[0]
    now = standing(events, task.candidates)
    held = token_leaves(events).get(token, [])
    return [_token_event(task, now, token, now.marks.get(token), held, state="draft")]


def _token_event(
    task: Task,
    now: Standing,
    token: int,
    label: Label | None,
    held: Sequence[TokenEvent],
    *,
    state: Literal["draft", "submitted"],
) -> TokenEvent:
    fields: dict[str, Any] = {
        **stamp(task.author),
        "kind": "token",
        "state": state,
        "prompt_hash": task.prompt_hash,
        "token": token,
        "text": task.texts[token] if token < len(task.texts) else "",
        "tokenizer": task.tokenizer,
        "label": label,
        "replaces": tuple(event.id for event in held),
        "shown": tuple(task.revealed) if now.seen else (),
        "stratum": task.draw.stratum if task.draw else None,
        "probability": task.draw.probability if task.draw else None,
    }
    return TokenEvent.model_validate(fields)


def _rejection(task: Task, events: Sequence[Event], *, rejected: bool, comment: str) -> RejectionEvent:
    fields: dict[str, Any] = {
        **stamp(task.author),
        "kind": "rejection",
        "state": "submitted",
        "prompt_hash": task.prompt_hash,
        "rejected": rejected,
        "comment": comment,
        "replaces": tuple(event.id for event in rejection_leaves(events)),
    }
    return RejectionEvent.model_validate(fields)
