"""Names of features, wherever one stands: a person's, a judge's that holds, or what it promotes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.data import documents, journal
from dashboard.data.project import artifact, fresh
from dashboard.style.text import named
from pipeline.labels.feature_names import Feature, FeatureNames, feature_names, given_names, promoted_names
from pipeline.labels.judged_names import JudgedName, judged_names
from store.base.errors import StoreError, UserError
from store.datasets.groups import open_dataset
from store.schema.features import FEATURES
from store.schema.names import NAMES

_NONE: Final = FeatureNames(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 1), np.int32), ())


def given(transcoders: str) -> dict[Feature, str]:
    """Names that people gave features of these transcoders.

    None where a journal is malformed, which Labels and the stage tell: no page fails for want of a name.
    """
    try:
        return given_names(journal.events(), transcoders)
    except UserError:
        return {}


@st.cache_resource(max_entries=8, show_spinner=False)
def _promoted(path: str, key: str, _words: Sequence[str]) -> FeatureNames:
    return promoted_names(open_dataset(Path(path), "cards"), _words)


@st.cache_resource(max_entries=8, show_spinner=False)
def _judged(path: str, key: str) -> dict[Feature, JudgedName]:
    return judged_names(open_dataset(Path(path), "names"))


def judged(profile: str) -> Mapping[Feature, JudgedName]:
    """Names that judges gave and that hold; none before stage `names` has run, or where it cannot be read."""
    try:
        return fresh(artifact(profile, NAMES.kind), _judged)
    except StoreError:
        return {}


def of_features(profile: str) -> FeatureNames:
    """A name of every feature that has one, by layer and index; none before stage `features` has run."""
    try:
        words = documents.vocabulary(profile)
        promoted = fresh(artifact(profile, FEATURES.kind), lambda path, key: _promoted(path, key, words))
        people = given(documents.models(profile).transcoders.fingerprint)
    except StoreError:
        return _NONE
    return feature_names(people, judged(profile), promoted)


def of_feature(profile: str, feature: Feature) -> str:
    """Layer and index of a feature with its name."""
    return named(of_features(profile), feature)


def of_frame(profile: str, frame: pd.DataFrame) -> list[str]:
    """As `of_feature`, of every row's ``layer`` and ``index``."""
    names = of_features(profile)
    features = zip(frame["layer"].tolist(), frame["index"].tolist(), strict=True)
    return [named(names, (int(layer), int(index))) for layer, index in features]


def called(profile: str, text: str) -> set[Feature]:
    """Features whose name holds a text, in whichever case."""
    return of_features(profile).holding(text)
