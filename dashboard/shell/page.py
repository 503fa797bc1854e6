"""The head of every page, and the selection that pages read."""

import streamlit as st

from dashboard.data import documents
from dashboard.pages import Page
from dashboard.shell import query, selection
from dashboard.shell.guard import empty
from store.documents.prompts import Prompt


def head(page: Page) -> None:
    """Title, and the question that the page answers."""
    st.markdown(f"## {page.title} :gray[:small[{page.question}]]")


def profile() -> str:
    """The selected profile; ends the page with an explanation where there is none."""
    chosen = selection.get(query.PROFILE)
    if chosen is None:
        empty("A profile's models, graphs, features and rates, computed by the pipeline.", "dvc repro")
        st.stop()
    return chosen


def variants() -> tuple[str, str] | None:
    """The selected pair of variants, None where there are none yet."""
    left, right = selection.get(query.A), selection.get(query.B)
    return (left, right) if left and right else None


def prompt(profile_name: str) -> Prompt | None:
    """The selected prompt, None where there are none."""
    known = documents.prompts(profile_name)
    chosen = selection.get(query.PROMPT)
    return known.get(chosen) if chosen else None
