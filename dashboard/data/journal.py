"""What people have said, of every author, as it stands on the disk now."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard.data.project import root, stamp
from pipeline.labels.events import Event
from pipeline.labels.journal import FOLDER, read_events


def folder() -> Path:
    """Where the labels of the project whose artifacts are shown lie."""
    return root() / FOLDER


@st.cache_resource(max_entries=2, show_spinner=False)
def _events(path: str, key: str) -> tuple[Event, ...]:
    return tuple(read_events(Path(path)))


def events() -> Sequence[Event]:
    """Every author's events, in their journals' order; none where there is no folder.

    Raises
    ------
    UserError
        A journal is malformed.
    """
    key = stamp(folder())
    return _events(str(folder()), key) if key else ()
