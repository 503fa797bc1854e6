"""What could not be computed, and where it went wrong: of one prompt, or of all."""

import streamlit as st

from dashboard.data import documents
from dashboard.data.failures import failures, failures_frame, failures_of
from dashboard.data.project import made
from dashboard.shell import downloads
from dashboard.style.text import count, sentence

_COLUMNS = {
    "stage": st.column_config.TextColumn("stage", help="The DVC stage that could not compute it."),
    "prompt": st.column_config.TextColumn("prompt", help="Prompt hash."),
    "variants": st.column_config.TextColumn("variants", help="What was to be computed together."),
    "layer": st.column_config.NumberColumn("layer", help="Layer where it went wrong, 0-based."),
    "position": st.column_config.NumberColumn("position", help="Token position, BOS is 0."),
    "token": st.column_config.TextColumn("token", help="The token at that position."),
    "reason": st.column_config.TextColumn("reason", help="What went wrong, and the way out."),
}


def _vocabulary(profile: str) -> list[str]:
    return documents.vocabulary(profile) if made(profile, "vocabulary.json") else []


def show_failed(profile: str) -> None:
    """Every failure of a profile as a table; nothing where there is none."""
    by_stage = failures(profile)
    if not by_stage:
        return
    frame = failures_frame(by_stage, _vocabulary(profile))
    prompts = count(frame["prompt"].nunique())
    with st.expander(f"{prompts} prompts could not be computed", icon=":material/error:", expanded=True):
        st.caption("Everything else was; these are in no graph, ranking or rate of their stage.")
        st.dataframe(frame, hide_index=True, key="failed-table", placeholder="—", column_config=_COLUMNS)
        downloads.downloads(frame, "failed-prompts", key="failed")


def show_failures_of(profile: str, prompt_hash: str) -> None:
    """Why a prompt could not be computed, by stage; nothing where it was."""
    vocabulary = _vocabulary(profile)
    frame = failures_frame(failures_of(profile, prompt_hash), vocabulary)
    for row in frame.itertuples():
        token = f" (token “{row.token}”)" if row.token else ""
        st.error(
            sentence(
                f"Stage {row.stage} could not compute this prompt for {row.variants}{token}: {row.reason}"
            ),
            icon=":material/error:",
        )
