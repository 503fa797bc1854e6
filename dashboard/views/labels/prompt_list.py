"""Every prompt with how it stands in a person's journal: to find one, and to choose it by hand."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.data import labelling
from dashboard.shell import downloads, query, selection
from dashboard.style.text import count
from dashboard.views.labels import taking
from dashboard.views.labels.desk import Desk
from dashboard.widgets import row_table
from pipeline.labels.strata import differ

_ANY: Final = "any domain"
_STANDS: Final = {"open": "to do", "submitted": "final"}
_COLUMNS: Final = (
    "prompt_hash",
    "domain",
    "situation",
    "stands",
    "labelled",
    "candidates",
    "differs",
    "text",
)
STATES: Final = ("all", "to do", "final", "rejected", "not as a judge says")


def prompt_frame(desk: Desk) -> pd.DataFrame:
    """One row a prompt: prompt_hash, domain, situation, stands, labelled, candidates, differs, text.

    What judges say is compared only with labels that are final, so that nothing is shown before.
    """
    frame = labelling.prompt_rows(desk.profile, desk.own)
    stands, labelled, differs = dict[str, str](), dict[str, int](), dict[str, int]()
    for prompt_hash, now in desk.standings.items():  # of the others nobody has said anything
        final = now.state == "submitted"
        judges = labelling.judged_labels(desk.profile, prompt_hash).values() if final else ()
        stands[prompt_hash] = _STANDS.get(now.state, now.state)
        labelled[prompt_hash] = len(now.marks)
        differs[prompt_hash] = len({token for of in judges for token in differ(now.marks, of)})
    frame = frame.assign(
        stands=[stands.get(prompt, _STANDS["open"]) for prompt in frame.index],
        labelled=[labelled.get(prompt, 0) for prompt in frame.index],
        differs=[differs.get(prompt, 0) for prompt in frame.index],
    )
    return frame.reset_index()[list(_COLUMNS)]


def _chosen(frame: pd.DataFrame, *, domain: str | None, state: str) -> pd.DataFrame:
    """The rows that a person asks for; None: of any domain."""
    keep = pd.Series(True, index=frame.index)
    if domain is not None:
        keep &= frame["domain"] == domain
    if state == STATES[-1]:
        keep &= frame["differs"] > 0
    elif state != STATES[0]:
        keep &= frame["stands"] == state
    return frame[keep].reset_index(drop=True)


def show(desk: Desk) -> None:
    """Draw filters and table; a row's box chooses its prompt by hand."""
    everything = prompt_frame(desk)
    with st.expander("All prompts: find one to label by hand, or see what is done"):
        left, right = st.columns([1, 2.4], vertical_alignment="bottom")
        domains = [_ANY, *sorted(set(everything["domain"]) - {""})]
        domain = left.selectbox(
            "Domain", domains, **query.LABELLED_DOMAIN.bound(), help="What the prompts are of."
        )
        state = right.segmented_control(
            "Prompts that are",
            STATES,
            default=STATES[0],
            required=True,
            **query.LABELLED_STATE.bound(),
            help="To do: some candidate lacks a final label of yours. Final: all have one. Rejected: unfit, "
            "by you. Not as a judge says: final, and another label than a judge gives to some candidate.",
        )
        shown = _chosen(everything, domain=None if domain == _ANY else str(domain), state=str(state or "all"))
        key = f"labelled-prompts-{domain}-{state}"

        def choose(row: pd.Series) -> None:
            prompt = str(row["prompt_hash"])
            selection.choose(query.PROMPT, prompt)
            taking.show(prompt, None)
            st.session_state[query.CHOSEN.name] = taking.BY_HAND

        row_table.show(
            shown.head(row_table.MOST),
            key=key,
            choose=choose,
            columns={
                "prompt_hash": st.column_config.TextColumn("prompt", help="Prompt hash."),
                "domain": st.column_config.TextColumn("domain", help="What the prompt is of."),
                "situation": st.column_config.TextColumn("situation", help="What it is about."),
                "stands": st.column_config.TextColumn("stands", help="To do, final, or rejected, by you."),
                "labelled": st.column_config.NumberColumn(
                    "labelled", format="%d", help="Candidates with a label of yours, drafts included."
                ),
                "candidates": st.column_config.NumberColumn(
                    "candidates", format="%d", help="Tokens to label: those of every variant."
                ),
                "differs": st.column_config.NumberColumn(
                    "differs",
                    format="%d",
                    help="Candidates that you and some judge label differently; 0 before yours are final.",
                ),
                "text": st.column_config.TextColumn("text", help="The prompt, white space shortened."),
            },
        )
        cut = f" Listed are the first {count(row_table.MOST)}; a filter brings others."
        st.caption(
            f"{count(len(shown))} of {count(len(everything))} prompts. Click a row's box to label it."
            + (cut if len(shown) > row_table.MOST else "")
        )
        downloads.downloads(shown, "labelled-prompts", key="labelled-prompts")
