"""Takes over what a person did in the browser: onto the disk first, then on to where it leads."""

import threading
from typing import Any, Final

import streamlit as st
from pydantic import ValidationError

from dashboard.data import journal
from dashboard.shell import query, selection
from dashboard.views.labels import desk as desks
from dashboard.views.labels.component import labelling as component
from dashboard.views.labels.desk import Desk
from pipeline.analysis.label_queue import Draw
from pipeline.labels.actions import SAID, AnyAction, Reopen, Turn
from pipeline.labels.events import Event
from pipeline.labels.journal import append
from pipeline.labels.session import answer
from store.base.errors import StoreError, UserError

DRAWN: Final = "drawn for me"
BY_HAND: Final = "by hand"

_KEPT: Final = "_labels_kept"
_PROBLEM: Final = "_labels_problem"
_PROMPT: Final = "_labels_prompt"
_DRAW: Final = "_labels_draw"
_MODE: Final = "_labels_mode"
_TURNED: Final = "_labels_turned"

# Two windows of one person are two threads of this server: reading and adding is one step.
_WRITING = threading.Lock()


def kept() -> dict[str, Any]:
    """The last action of a browser that is on the disk."""
    found: dict[str, Any] = st.session_state.get(_KEPT, {"session": "", "number": 0})
    return found


def problem() -> str:
    """Why the last actions could not be written; empty: they were."""
    return str(st.session_state.get(_PROBLEM, ""))


def turned() -> bool:
    """Whether what was done led to another prompt; said once."""
    return bool(st.session_state.pop(_TURNED, False))


def shown() -> str | None:
    """The prompt that the page shows by its own choice."""
    found = st.session_state.get(_PROMPT)
    return None if found is None else str(found)


def show(prompt: str, draw: Draw | None) -> None:
    """Say which prompt the page shows, and how it was drawn, which stays though strata change meanwhile."""
    if prompt != shown() or st.session_state.get(_DRAW) is None:
        st.session_state[_DRAW] = draw
    st.session_state[_PROMPT] = prompt


def mode(chosen: str) -> str | None:
    """Note how prompts are chosen now; how they were before."""
    before: str | None = st.session_state.get(_MODE)
    st.session_state[_MODE] = chosen
    return before


def drawn(desk: Desk, prompt: str) -> Draw | None:
    """How a prompt came into the queue; None: it was chosen by hand."""
    known = next((draw for draw in desk.queue.drawn if draw.prompt == prompt), None)
    remembered: Draw | None = st.session_state.get(_DRAW)
    return known or (remembered if remembered is not None and remembered.prompt == prompt else None)


def take(profile: str) -> None:
    """Write down what the browser tells, and turn to the prompt that it leads to."""
    try:
        said = SAID.validate_python(component.said())
    except ValidationError:
        return  # of an older page, or nobody's
    before = kept()
    done = before["number"] if before["session"] == said.session else 0
    new = [action for action in said.actions if action.number > done]
    if not new:
        return
    try:
        with _WRITING:
            desk = desks.desk(profile)
            if desk.problem:
                raise UserError(desk.problem)
            refused = _write(desk, new)
    except (UserError, StoreError, OSError) as error:
        st.session_state[_PROBLEM] = str(error)
        return
    st.session_state[_PROBLEM] = refused
    st.session_state[_KEPT] = {"session": said.session, "number": new[-1].number}
    _turn(profile, new[-1])


def _write(desk: Desk, actions: list[AnyAction]) -> str:
    """Add the events of actions to the journal.

    Returns
    -------
    str
        What was refused, in a sentence: it is not asked for again.
    """
    events: list[Event] = []
    refused = ""
    for action in actions:
        if action.prompt not in desk.own:
            refused = f"Prompt {action.prompt} has no candidates of base and the focus variant here."
            continue
        task = desk.task(action.prompt, drawn(desk, action.prompt))
        own = [*desk.events.get(action.prompt, []), *(e for e in events if _of(e) == action.prompt)]
        try:
            events += answer(action, task, own)
        except UserError as error:
            refused = str(error)
    if events and desk.author is not None:
        append(desk.author, events, journal.folder())
    return refused


def _of(event: Event) -> str | None:
    return getattr(event, "prompt_hash", None)


def _turn(profile: str, last: AnyAction) -> None:
    if isinstance(last, Reopen):
        to: str | None = last.prompt
        draw = None
    elif isinstance(last, Turn):
        queue = desks.desk(profile).queue
        to = queue.after(last.prompt)
        draw = queue.draw_of(to) if to is not None else None
        st.session_state[query.CHOSEN.name] = DRAWN
        mode(DRAWN)
    else:
        return
    if to is not None:
        selection.choose(query.PROMPT, to)
        show(to, draw)
        st.session_state[_TURNED] = True
