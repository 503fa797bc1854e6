"""Circuits of behaviours, as frames."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.data.project import artifact, fresh
from store.datasets.groups import open_dataset
from store.schema.circuits import CIRCUITS


@st.cache_resource(max_entries=24, show_spinner=False)
def _frame(path: str, key: str, group: str, variant: str) -> pd.DataFrame:
    frame = open_dataset(Path(path), group).to_dataframe().reset_index()
    return frame[frame["variant"] == variant].reset_index(drop=True) if variant else frame


def summary(profile: str) -> pd.DataFrame:
    """A row a variant and behaviour with a traced prompt; columns are the arrays of the group `summary`."""
    frame = _of(profile, "summary", "")
    return frame[frame["n_train"] > 0].reset_index(drop=True)


def features(profile: str, variant: str) -> pd.DataFrame:
    """Features of a variant's circuits, by behaviour and falling |total effect|; the group `circuit`."""
    return _of(profile, "circuit", variant)


def edges(profile: str, variant: str, behaviour: str) -> pd.DataFrame:
    """Edges among them, by falling |weight|; the group `edges`."""
    found = _of(profile, "edges", variant)
    return found[found["behaviour"] == behaviour].reset_index(drop=True)


def _of(profile: str, group: str, variant: str) -> pd.DataFrame:
    return fresh(artifact(profile, CIRCUITS.kind), lambda path, key: _frame(path, key, group, variant))
