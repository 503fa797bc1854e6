"""Trace a stored prompt that lacks a variant or its doses: what it takes first, then the trace, then kept."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from dashboard.live import tracing, typed
from dashboard.live.models import NotLiveError
from dashboard.shell.guard import message
from dashboard.style.text import plain, sentence
from store.documents.prompts import Prompt

_STATE: Final = "_traced_now"


def asked(profile: str, prompt: Prompt, what: str, *, traces: int) -> bool:
    """Offer to trace, with the time and memory that it takes; whether it was asked for.

    Parameters
    ----------
    profile, prompt
        What would be traced.
    what
        Names the trace among those of the prompt: the pair of variants, or the doses.
    traces
        How many graphs that is.
    """
    name = f"{profile} {prompt.hash} {what}"
    if name in st.session_state.get(_STATE, ()):
        return True
    with st.popover("Trace now", icon=":material/bolt:", key=f"trace-{what}", on_change="rerun") as offer:
        if offer.open:
            try:
                takes = tracing.estimate(profile, prompt, traces)
            except NotLiveError as error:
                st.error(sentence(message(error)), icon=":material/error:")
                return False
            st.caption(
                sentence(f"Traces {what} on this prompt, for this page alone: {takes}. Nothing is stored.")
            )
            st.button("Trace", key=f"trace-go-{what}", type="primary", on_click=_ask, args=(name,))
    return False


def _ask(name: str) -> None:
    st.session_state[_STATE] = (*st.session_state.get(_STATE, ()), name)


def status(profile: str, prompt: Prompt, what: str, seconds: float, tag: Callable[[], str] | None) -> None:
    """Say that a trace is in no artifact, and offer to have the pipeline make it, too.

    Parameters
    ----------
    profile, prompt
        The stored prompt.
    what
        What was traced.
    seconds
        How long that took.
    tag
        Gives the tag with which the pipeline traces it; None: the prompt stands in no file.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(
            "traced now",
            icon=":material/bolt:",
            color="violet",
            help="Traced just now for this page alone: this trace is in no artifact, ranking or statistic.",
        )
        st.caption(plain(f"{what} in {seconds:.1f} s"), width="content")
        name = "" if tag is None else tag()
        if name and st.button(
            "Keep",
            key=f"keep-{what}",
            icon=":material/bookmark_add:",
            type="tertiary",
            help=f"{_where(prompt, name)}; `dvc repro` then traces it so.",
        ):
            _keep(profile, prompt, name)


def tagging(prompt: Prompt, name: str) -> str:
    """The beginning of a sentence: where a person puts a tag, so that the pipeline traces a prompt so."""
    if _made_by_a_stage(prompt):
        return (
            f"Trace it now and keep it, or tag it `{name}` on a line of your own with the same text (a stage "
            f"writes it, {prompt.source})"
        )
    where = f"in its prompt file, {prompt.source}" if ":" in prompt.source else "when it is kept"
    return f"Tag it `{name}` {where}"


def _made_by_a_stage(prompt: Prompt) -> bool:
    return prompt.source.startswith("artifacts/")


def _where(prompt: Prompt, name: str) -> str:
    if _made_by_a_stage(prompt):
        return (
            f"Adds a line with the prompt and the tag {name} to a prompt file of your own, since a stage "
            f"writes {prompt.source}; the two are read as one prompt"
        )
    return f"Adds the tag {name} to the prompt's line, {prompt.source}"


def _keep(profile: str, prompt: Prompt, name: str) -> None:
    try:
        place = typed.tag(profile, prompt.source, name)
    except NotLiveError as error:
        st.error(sentence(message(error)), icon=":material/error:")
    except OSError as error:
        st.error(sentence(f"{error.filename} cannot be written ({error.strerror})."), icon=":material/error:")
    else:
        st.success(sentence(f"{place} has the tag {name}; `dvc repro` traces it."))
