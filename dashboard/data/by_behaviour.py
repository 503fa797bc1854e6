"""Cached readers of what is made behaviour by behaviour, as one for all of a profile."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st
import xarray as xr

from dashboard.data.in_memory import with_small_arrays
from dashboard.data.project import artifact, fresh, made
from store.collections.union import Union
from store.views import by_behaviour

T = TypeVar("T")


def stored(profile: str, kind: str) -> str:
    """Name of the artifact that holds a kind: by behaviour, or as it was before, of all behaviours."""
    own = f"{by_behaviour.BY_BEHAVIOUR}/{kind}"
    return kind if made(profile, kind) and not made(profile, own) else own


@st.cache_resource(max_entries=8, show_spinner=False)
def _collections(folder: str, key: str, kind: str) -> Union:
    return by_behaviour.open_collections(Path(folder), kind)


def collections(profile: str, kind: str) -> Union:
    """The collections of a kind."""
    return _fresh(profile, kind, lambda folder, key: _collections(folder, key, kind))


@st.cache_resource(max_entries=8, show_spinner=False)
def _datasets(folder: str, key: str, kind: str, group: str) -> xr.Dataset:
    return with_small_arrays(by_behaviour.open_datasets(Path(folder), kind, group))


def dataset(profile: str, kind: str, group: str) -> xr.Dataset:
    """A group of the datasets of a kind, shared: not to be written to."""
    return _fresh(profile, kind, lambda folder, key: _datasets(folder, key, kind, group))


def provenances(profile: str, kind: str) -> dict[str, dict[str, Any]]:
    """What each artifact of a kind says it was computed from, by behaviour."""
    return _fresh(profile, kind, lambda folder, _: by_behaviour.provenances(Path(folder), kind))


def _fresh(profile: str, kind: str, reader: Callable[[str, str], T]) -> T:
    folder = str(artifact(profile, kind).parent)
    return fresh(artifact(profile, stored(profile, kind)), lambda _, key: reader(folder, key))
