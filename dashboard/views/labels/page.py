"""Labels: what people and judges say about candidate tokens."""

from typing import Final

import streamlit as st

from dashboard.pages import LABELS
from dashboard.shell import query, selection, url
from dashboard.shell.guard import guard, message
from dashboard.shell.page import head, profile
from dashboard.style.text import count, plain, sentence
from dashboard.views.labels import agreement, arriving, discovered, mined, prompt_list, taking
from dashboard.views.labels.component import labelling as component
from dashboard.views.labels.desk import Desk, desk
from dashboard.views.labels.screen import screen
from pipeline.labels.events import journal_name
from pipeline.labels.journal import FOLDER
from store.base.errors import UserError

_WHAT: Final = "Every candidate token, to be labelled by hand beside what judges say."
_EXPLAINED: Final = (
    "A token is evil where what it begins is harmful, safe where it is not, unsure where it can be either. "
    "Label what the next token would begin here, whichever model says it."
)
_DRAWS: Final = (
    "Drawn for me: half of the prompts are of those with an evil candidate in the adapted model only, a "
    "quarter of those on which judges disagree, a quarter of all, each drawn with a known probability, so "
    "that agreement on all prompts can be told. By hand: the one selected in the sidebar or below."
)


def _mode(at: Desk) -> tuple[str, str | None]:
    """How prompts are chosen, and the one to show.

    The queue leads where a person comes to the page; whoever then picks another prompt in the sidebar, or
    opens a link to one that was chosen by hand, is taken there.
    """
    selected = selection.get(query.PROMPT)
    arrives = url.arrives()
    if not arrives and selected != taking.shown() and taking.shown() is not None:
        st.session_state[query.CHOSEN.name] = taking.BY_HAND
    # No segmented control: Streamlit warns of one with a default whose value a script sets.
    chosen = st.radio(
        "Prompts",
        [taking.DRAWN, taking.BY_HAND],
        horizontal=True,
        **query.CHOSEN.bound(),
        # No higher than the text beside it: nothing moves when the widget's own code has arrived.
        label_visibility="collapsed",
    )
    before = taking.mode(str(chosen))
    if chosen == taking.BY_HAND or at.author is None:
        return taking.BY_HAND, selected
    stays = not arrives and selected == taking.shown() and before == chosen
    return taking.DRAWN, selected if stays else at.queue.resumed(selected, at.latest)


def _progress(at: Desk) -> None:
    if at.author is None:
        st.info(sentence(f"{at.problem} Until then nothing can be labelled here."), icon=":material/person:")
    elif not at.problem:
        st.caption(
            f"{count(len(at.queue.done))} of {count(len(at.own))} prompts, {count(at.n_labelled)} "
            f"candidates. Labels are kept for **{plain(at.author)}** in "
            f"`{FOLDER}/{journal_name(at.author)}.jsonl`.",
            help="Prompts that you submitted or rejected, of those on which base and the focus variant have "
            "candidates; candidates with a final label of yours.",
        )


@st.fragment
def _labelling(name: str) -> None:
    """One prompt; a key reruns only this, and turning to another prompt the page."""
    if taking.turned():
        st.rerun()  # the sidebar names the prompt, too
    with guard(_WHAT):
        _prompt(name)


def _prompt(name: str) -> None:
    at = desk(name)
    prompt = selection.get(query.PROMPT)
    if prompt is None or prompt not in at.own:
        st.info("The selected prompt has no candidates of base and the focus variant; choose another.")
        return
    problem = at.problem if at.author is not None else ""
    problem = problem or taking.problem()
    if problem:
        st.error(sentence(message(UserError(problem))), icon=":material/save:")
    locked = "" if at.author is not None else "Nothing can be labelled before it is known who labels."
    _progress(at)
    component.draw(
        screen(at, prompt, kept=taking.kept(), problem=problem, locked=locked, draw=taking.drawn(at, prompt)),
        on_said=lambda: taking.take(name),
    )


def render() -> None:
    """Draw the page."""
    head(LABELS)
    name = profile()
    with guard(_WHAT):
        at = desk(name)
        if not at.own:
            st.info("No prompt has candidates of base and of the focus variant yet.")
            return
        left, right = st.columns([1.2, 3], vertical_alignment="center")
        with left:
            mode, prompt = _mode(at)
        right.caption(_EXPLAINED, help=_DRAWS)
        if prompt is None:
            st.success(f"All {count(len(at.own))} prompts are labelled.", icon=":material/done_all:")
        elif prompt != selection.get(query.PROMPT):
            taking.show(prompt, at.queue.draw_of(prompt))
            selection.choose_anew(query.PROMPT, prompt)
        else:
            taking.show(prompt, at.queue.draw_of(prompt) if mode == taking.DRAWN else None)
            with st.container(key=component.KEY + "-box"):
                _labelling(name)
        arriving.show(name, at, waits=prompt is None)
        if not at.problem:  # else nobody knows how prompts stand
            prompt_list.show(at)
        agreement.show(name)
    discovered.show(name)
    mined.show(name)


render()
