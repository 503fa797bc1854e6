"""The frame around every page: navigation, what is selected, and the link to it."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from dashboard.data import documents, labelling, project, readers
from dashboard.pages import LABELS, PAGES
from dashboard.shell import frame, history, query, selection, url
from dashboard.shell.guard import message
from dashboard.style.text import sentence, shorten
from dashboard.style.theme import ADAPTED, BASE
from dashboard.widgets import prompt_browser, typed_prompt
from store.base.errors import StoreError
from store.base.plain_arrays import only_plain_arrays
from store.documents.prompts import Prompt

_HERE = Path(__file__).parent
_SIDEBAR = 264
"""Width of the sidebar in pixels; what is narrower cuts its labels."""
_NEAR = 250
"""Prompts before and after the chosen one that the picker lists: a browser is slow with thousands."""


def prompt_label(prompt: Prompt) -> str:
    """A prompt in the picker: what it is about, its domain, how it ends."""
    held = " (held out)" if prompt.held_out else ""
    domain = prompt.domain or "no domain"
    about = prompt.situation if prompt.situation != prompt.hash else prompt.name or prompt.text
    about = " ".join(about.removeprefix(f"{domain}: ").split())
    ending = " ".join(prompt.text.split())[-28:]
    return f"{domain}: {shorten(about, 60)}{held} …{ending}"


def _focus(profile: str) -> str:
    """The adapter that is traced on every prompt, '' where the manifest is not there yet."""
    try:
        return documents.focus(profile)
    except (StoreError, OSError):
        return ""


def _variant_pickers(profile: str, problems: list[str]) -> None:
    try:
        variants = list(readers.colours(profile))
    except (StoreError, OSError) as error:
        st.caption(sentence(message(error)))
        return
    if not variants:
        st.caption("No variants yet: `dvc repro` makes them.")
        return
    adapted = [variant for variant in variants if variant != "base"]
    focus = _focus(profile)
    defaults = {
        query.A: "base" if "base" in variants else variants[0],
        query.B: focus if focus in variants else (adapted or variants)[0],
    }
    for side in (query.A, query.B):
        chosen = selection.get(side)
        if chosen is not None and chosen not in variants:
            near = [variant for variant in variants if variant.split("@")[0] == chosen.split("@")[0]]
            if not near:
                problems.append(f"There is no variant “{chosen}” here; showing {defaults[side]}.")
            chosen = near[0] if near else None
        selection.choose(side, chosen or defaults[side])
    st.selectbox(
        "Variant A", variants, key=query.A.name, help="Left side of every comparison; blue. Usually base."
    )
    st.selectbox("Variant B", variants, key=query.B.name, help="Right side: an adapter at a scale; orange.")


def _traced(profile: str, prompts: Collection[str]) -> set[str]:
    """Prompts that are traced with both chosen variants; all, where nothing is traced yet."""
    pair = frozenset(variant for side in (query.A, query.B) if (variant := selection.get(side)))
    try:
        return {*readers.traced_with(profile, pair)}.intersection(prompts)
    except (StoreError, OSError):
        return set(prompts)


def _prompt_picker(profile: str, problems: list[str], page: str) -> None:
    try:
        # Only Labels can show what no stage has read yet.
        prompts = labelling.prompts(profile) if page == LABELS.name else documents.prompts(profile)
    except (StoreError, OSError) as error:
        st.caption(sentence(message(error)))
        return
    if not prompts:
        st.caption("No prompts yet: `dvc repro` reads the prompt files.")
        return
    traced = _traced(profile, prompts)
    ordered = documents.prompts_in_order(profile)
    if len(prompts) > len(ordered):
        ordered = documents.in_order(prompts)
    chosen = selection.get(query.PROMPT)
    if chosen is not None and chosen not in prompts:
        problems.append(
            f"Prompt {chosen} was only just found, and only Labels has it until `dvc repro` has read it; "
            "showing another."
            if chosen in labelling.arrived(profile)
            else f"Prompt {chosen} is not in artifacts/{profile}/prompts.json; showing another. Add it "
            "to a prompt file and run `dvc repro`."
        )
        chosen = None
    chosen = chosen or ordered[0]
    selection.choose(query.PROMPT, chosen)
    here = ordered.index(chosen)
    near = ordered[max(0, here - _NEAR) : here + _NEAR + 1]
    st.selectbox(
        "Prompt",
        near,
        key=query.PROMPT.name,
        on_change=typed_prompt.leave,
        format_func=lambda h: ("" if h in traced else "○ ") + prompt_label(prompts[h]),
        help="Used by Compare, Steering and Labels. Type to search."
        + (" ○: not traced with both variants." if len(traced) < len(ordered) else "")
        + (
            f" It lists the {len(near)} nearest of {len(ordered)} prompts; Browse prompts finds the others."
            if len(near) < len(ordered)
            else ""
        ),
    )
    _steps(ordered, here, traced)
    if st.button(
        "Browse prompts",
        icon=":material/manage_search:",
        key="browse-prompts",
        type="tertiary",
        help="Every prompt with what both variants do on it: find, filter, and put in order.",
    ):
        prompt_browser.dialog(profile, (str(selection.get(query.A)), str(selection.get(query.B))))


def _steps(ordered: list[str], here: int, traced: set[str]) -> None:
    """Buttons to the prompts before and after, and to the next one that is traced."""
    after = [*ordered[here + 1 :], *ordered[:here]]
    steps = [
        ("Previous", "chevron_left", "Previous prompt", ordered[here - 1]),
        ("Next", "chevron_right", "Next prompt", ordered[(here + 1) % len(ordered)]),
    ]
    if 0 < len(traced) < len(ordered):
        to = next((prompt_hash for prompt_hash in after if prompt_hash in traced), ordered[here])
        says = f"Next of the {len(traced)} prompts that are traced with both variants"
        steps.append(("Next traced", "skip_next", says, to))
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        # The label is what a screen reader says: of an icon alone it would say the icon's name.
        for label, icon, says, to in steps:
            st.button(
                label,
                icon=f":material/{icon}:",
                key=f"{label.lower().replace(' ', '-')}-prompt",
                help=says,
                on_click=_choose_prompt,
                args=(to,),
            )
        st.caption(f"{here + 1} of {len(ordered)}")


def _choose_prompt(prompt_hash: str) -> None:
    selection.choose(query.PROMPT, prompt_hash)
    typed_prompt.leave()


@st.fragment
def _copy_link() -> None:
    """The current view's address; drawn anew when it is opened, for a slider may have moved since."""
    address = st.context.url or "http://localhost:8501"
    with st.popover("Copy link", icon=":material/link:", type="tertiary", key="copy-link", on_change="rerun"):
        st.caption("Opens this page with everything that is selected now.")
        st.code(url.link(address), language=None, wrap_lines=True)


def _sidebar(problems: list[str], page: str) -> None:
    try:
        profiles = project.profiles()
    except StoreError as error:
        st.error(sentence(message(error)), icon=":material/cloud_off:")
        st.stop()
    chosen = selection.get(query.PROFILE)
    if chosen is not None and chosen not in profiles:
        problems.append(f"There is no profile “{chosen}” under artifacts/.")
        chosen = None
    if not profiles:
        selection.choose(query.PROFILE, "")
        return
    profile = chosen or profiles[0]
    selection.choose(query.PROFILE, profile)
    if len(profiles) > 1:
        st.selectbox(
            "Profile",
            profiles,
            key=query.PROFILE.name,
            on_change=selection.forget,
            help="A subject: base model, transcoders and adapters (params.yaml: profiles).",
        )
    try:
        project.artifact(profile, "")
    except StoreError as error:
        st.error(sentence(message(error)), icon=":material/cloud_off:")
        st.stop()
    _variant_pickers(profile, problems)
    _prompt_picker(profile, problems, page)
    _copy_link()


def _icon() -> Image.Image:
    """A disc, half base and half adapted.

    Streamlit would fetch a named icon from the internet for the browser's tab.
    """
    y, x = np.mgrid[-15.5:16, -15.5:16]
    icon = np.zeros((32, 32, 4), dtype=np.uint8)
    for side, colour in ((x < 0, BASE), (x >= 0, ADAPTED)):
        rgb = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
        icon[side & (x**2 + y**2 < 15**2)] = (*rgb, 255)
    return Image.fromarray(icon)


def run() -> None:
    """Draw the app: one run of Streamlit's script."""
    only_plain_arrays()
    st.set_page_config(
        page_title="Emergent Misalignment Circuits",
        page_icon=_icon(),
        layout="wide",
        initial_sidebar_state=_SIDEBAR,
    )
    frame.style()
    page = st.navigation(
        [
            st.Page(
                _HERE / each.script,
                title=each.title,
                icon=each.icon,
                url_path="" if each is PAGES[0] else each.name,
                default=each is PAGES[0],
            )
            for each in PAGES
        ]
    )
    selection.take_over()
    name = page.url_path or PAGES[0].name
    project.begin()
    problems = url.read(name, restores=history.restores())
    with st.sidebar:
        _sidebar(problems, name)
        history.one_entry_a_page()
        frame.skip_link()
    for problem in problems:
        st.warning(sentence(problem), icon=":material/link_off:")
    if "_drawn" in st.session_state:
        url.write()
    # A session's first address comes last: the browser does not keep to one entry before it is told to.
    page.run()
    url.write()
    st.session_state["_drawn"] = True
