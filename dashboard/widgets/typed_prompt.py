"""A prompt that a person types: its fields, the same on every page, and keeping it for the pipeline."""

from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.data import documents, project
from dashboard.data.case import Case
from dashboard.live import typed
from dashboard.live.models import NotLiveError
from dashboard.shell import forms, query, selection
from dashboard.shell.guard import message
from dashboard.shell.parameter import Parameter
from dashboard.style.text import plain, sentence
from store.base.errors import StoreError
from store.documents.prompts import Prompt

SELECTED: Final = "selected prompt"
NO_DOMAIN: Final = "no domain"


def field(parameter: Parameter) -> str:
    """Key of the widget that shows one of `query.TYPED_PROMPT`."""
    return f"{parameter.name}-field"


def _shows(parameter: Parameter, value: str) -> str:
    """Key of a widget, made to show a value that may have been set elsewhere.

    By the URL, or on another page, whose widget of that key is not this one; unless somebody
    has just changed the widget itself.
    """
    key = field(parameter)
    if st.session_state.get(key) in (None, st.session_state.get(f"_{parameter.name}")):
        st.session_state[key] = value
    return key


def _took(parameter: Parameter, value: str) -> None:
    """Take over what a widget says."""
    selection.choose(parameter, value)
    st.session_state[f"_{parameter.name}"] = value


def chosen(where: DeltaGenerator, *, use: str) -> bool:
    """Draw the choice between the selected and a typed prompt; whether it is typed.

    Parameters
    ----------
    where
        Column to draw it in.
    use
        What happens to a typed prompt on this page.
    """
    shown = _shows(query.SOURCE, selection.get(query.SOURCE) or SELECTED)
    value = where.segmented_control(
        "Prompt",
        [SELECTED, query.TYPED],
        required=True,
        key=shown,
        label_visibility="collapsed",
        help=f"The selected prompt is used with its stored token ids. A typed one {use}",
    )
    _took(query.SOURCE, value or SELECTED)
    if value == SELECTED:
        leave()
    return value == query.TYPED


def leave() -> None:
    """Back to the selected prompt; what was typed is kept for later."""
    selection.choose(query.SOURCE, "")


def _start_over(text: str) -> None:
    selection.choose(query.TEXT, text)


def fields(
    left: DeltaGenerator, right: DeltaGenerator, profile: str, stored: Prompt | None
) -> tuple[str, str | None]:
    """The typed text, which begins as the selected prompt's, and the domain of its labels.

    Parameters
    ----------
    left, right
        Columns for the text, and for what belongs to it.
    profile
        Its lexicon names the domains.
    stored
        The selected prompt.
    """
    if query.TEXT.name not in st.session_state:
        selection.choose(query.TEXT, stored.text if stored else "")
    text = left.text_area(
        "Text that the model continues",
        key=_shows(query.TEXT, st.session_state[query.TEXT.name]),
        max_chars=forms.MAX_TEXT,
        height=112,
        help="A BOS token is put in front. Ctrl+Enter, or a click elsewhere, takes it over.",
    )
    _took(query.TEXT, str(text or ""))
    try:
        domains = [NO_DOMAIN, *documents.lexicon(profile)["domains"]]
    except StoreError:
        domains = [NO_DOMAIN]
    named = selection.get(query.DOMAIN) or (stored.domain if stored else None)
    domain = right.selectbox(
        "Token labels of",
        domains,
        key=_shows(query.DOMAIN, named if named in domains else NO_DOMAIN),
        help="The domain whose phrases tell evil from safe tokens. Without one, tokens are "
        "unlabelled, which is never safe.",
    )
    _took(query.DOMAIN, str(domain))
    if stored is not None:
        right.button(
            "Selected prompt's text",
            key="start-over",
            icon=":material/restart_alt:",
            type="tertiary",
            on_click=_start_over,
            args=(stored.text,),
            help="Begin again with the text of the prompt that the sidebar names.",
        )
    return str(text or ""), None if domain == NO_DOMAIN else str(domain)


def line(case: Case, situation: str, tag: str) -> dict[str, str | list[str]]:
    """What is written into the prompt file.

    Parameters
    ----------
    case
        The typed prompt, and the pair that it was traced with.
    situation
        What it is about; empty: nothing is said.
    tag
        The tag with which every adapter is traced: `graphs.every_variant_tag`.
    """
    focus = documents.focus(case.profile)
    written: dict[str, str | list[str]] = {"prompt": case.prompt.text}
    if situation.strip():
        written["situation"] = situation.strip()
    if case.prompt.domain is not None:
        written["domain"] = case.prompt.domain
    if not set(case.pair) <= {"base", focus}:
        written["tags"] = [tag]
    return written


def status(case: Case, seconds: float, *, stored: bool) -> None:
    """Say how a traced prompt stands to the pipeline, and offer to keep one that it does not know.

    Parameters
    ----------
    case
        The typed prompt, traced live.
    seconds
        How long that took.
    stored
        Whether the pipeline has the prompt already, though not traced with this pair.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        path, place, fault = _standing(case, stored=stored)
        if place is not None:
            label, then = f"kept in {place}", "; `dvc repro` puts it into the pipeline."
        elif stored:
            tag = typed.every_variant_tag()
            label = "in the pipeline, but not with this pair"
            then = f"; with the tag `{tag}` in its prompt file, `dvc repro` traces it, too."
        else:
            label, then = "not yet in the pipeline", ""
        st.badge(
            plain(label),
            icon=":material/bookmark_added:" if place else ":material/bolt:",
            color="green" if place else "violet",
            help="Traced just now for this page alone: this trace is in no artifact, ranking or statistic.",
        )
        pair = " and ".join(dict.fromkeys(case.pair))
        st.caption(plain(f"traced live with {pair} in {seconds:.1f} s") + sentence(then), width="content")
        if path is not None and place is None:
            _keeping(case, path)
        if fault:
            st.caption(fault)


def _standing(case: Case, *, stored: bool) -> tuple[Path | None, str | None, str]:
    """The file that a new prompt may be kept in, where it is kept already, and why that is not known."""
    if stored:
        return None, None, ""
    try:
        return *typed.place(case.profile, case.prompt.text), ""
    except NotLiveError as error:
        return None, None, sentence(message(error))


def _keeping(case: Case, path: Path) -> None:
    with st.popover("Keep", icon=":material/bookmark_add:", key="keep"):
        st.caption(
            sentence(
                f"Adds a line to {project.shown(path)}, a prompt file of this profile; `dvc repro` then puts "
                "it into the pipeline: graphs, rankings, rates."
            )
        )
        situation = st.text_input(
            "Situation",
            key="keep-situation",
            placeholder="a new router",
            help="What the prompt is about. Prompts of one situation are averaged first, since they are "
            "not independent; without one it stands for itself.",
        )
        written = line(case, situation, typed.every_variant_tag())
        tags = f", tagged {written['tags'][0]}" if "tags" in written else ""
        st.caption(plain(f"Domain: {case.prompt.domain or 'none'}{tags}."))
        if st.button("Add to the prompt file", key="keep-prompt", type="primary"):
            _keep(case, written)


def _keep(case: Case, written: dict[str, str | list[str]]) -> None:
    try:
        typed.keep(case.profile, written)
    except NotLiveError as error:
        st.error(sentence(message(error)), icon=":material/error:")
    except OSError as error:
        st.error(sentence(f"{error.filename} cannot be written ({error.strerror})."), icon=":material/error:")
    else:
        st.rerun()
