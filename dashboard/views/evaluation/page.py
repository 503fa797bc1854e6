"""Evaluation: how misaligned each variant is, and how sure we are."""

from typing import Final

import streamlit as st

from dashboard.data import readers
from dashboard.pages import EVALUATION
from dashboard.shell import query
from dashboard.shell.page import head, profile
from dashboard.views.evaluation import open_questions, pivotal, steered
from store.base.errors import ArtifactMissingError, StoreError
from store.schema.answers import ANSWERS

OPEN: Final = "Open questions"
PIVOTAL: Final = "Pivotal prompts"
STEERED: Final = "Steered"


def _answered(name: str) -> bool:
    """Whether there are answers to open questions; their tab says what is wrong where they are damaged."""
    try:
        return len(readers.collection(name, ANSWERS.kind)) > 0
    except ArtifactMissingError:
        return False
    except (StoreError, OSError):
        return True


def render() -> None:
    """Draw the page; only the open tab is computed."""
    head(EVALUATION)
    name = profile()
    draw = {OPEN: open_questions.show, PIVOTAL: pivotal.show, STEERED: steered.show}
    names = [OPEN, PIVOTAL, STEERED] if _answered(name) else [PIVOTAL, OPEN, STEERED]
    for tab, of in zip(st.tabs(names, on_change="rerun", **query.EVALUATED.bound()), names, strict=True):
        if tab.open:
            with tab:
                draw[of](name)


render()
