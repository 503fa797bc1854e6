"""Names of features, wherever one stands: a person's, or what it promotes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st
import xarray as xr

from dashboard.data import documents, journal
from dashboard.data.project import artifact, fresh
from dashboard.style.text import named
from pipeline.labels.feature_names import Feature, given_names, promoted_name
from store.base.errors import StoreError, UserError
from store.datasets.groups import open_dataset
from store.documents.token_texts import token_text


def given(transcoders: str) -> dict[Feature, str]:
    """Names that people gave features of these transcoders.

    None where a journal is malformed, which Labels and the stage tell: no page fails for want of a name.
    """
    try:
        return given_names(journal.events(), transcoders)
    except UserError:
        return {}


@st.cache_resource(max_entries=8, show_spinner=False)
def _promoted(path: str, key: str, _words: Sequence[str]) -> dict[Feature, str]:
    cards: xr.Dataset = open_dataset(Path(path), "cards")
    rows = zip(
        cards["layer"].values.tolist(),
        cards["index"].values.tolist(),
        cards["promoted_token"].values.tolist(),
        strict=True,
    )
    return {
        (layer, index): promoted_name(token_text(_words, token) for token in tokens if token >= 0)
        for layer, index, tokens in rows
    }


def of_features(profile: str) -> Mapping[Feature, str]:
    """A name of every feature that has one, by layer and index; none before stage `features` has run."""
    try:
        words = documents.vocabulary(profile)
        promoted = fresh(artifact(profile, "features"), lambda path, key: _promoted(path, key, words))
        people = given(documents.models(profile).transcoders.fingerprint)
    except StoreError:
        return {}
    return {**promoted, **people} if people else promoted


def of_feature(profile: str, feature: Feature) -> str:
    """Layer and index of a feature with its name."""
    return named(of_features(profile), feature)
