"""Filters of features, in the link: the same in every tab that shows some."""

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from dashboard.data.partnered import ALL, Place
from dashboard.shell import query

_LARGEST = 5.0
"""Of the least effects that may be asked for, logits."""


def choose(layers: Iterable[int], supernodes: Iterable[int]) -> Place:
    """Draw them in a row.

    Parameters
    ----------
    layers
        Of features that there are.
    supernodes
        Numbers of those of the circuit; 0 is none.
    """
    columns = st.columns([1, 1, 1.4], vertical_alignment="bottom")
    layer = columns[0].selectbox(
        "Layer",
        [ALL, *(f"L{each}" for each in sorted(set(layers)))],
        **query.BEHAVIOUR_LAYER.bound(),
        help="Of the features; 0-based.",
    )
    cluster = columns[1].selectbox(
        "Supernode",
        [ALL, *(str(each) for each in sorted(set(supernodes)) if each > 0)],
        **query.BEHAVIOUR_CLUSTER.bound(),
        help="Features of the circuit whose total effects are alike, prompt by prompt, share a number. Of "
        "interventions: of the behaviour's circuit in base.",
    )
    least = columns[2].slider(
        "Least effect",
        0.0,
        _LARGEST,
        step=0.1,
        **query.BEHAVIOUR_LEAST.bound(),
        help="Logits: features with a smaller total effect, and trials with a smaller mean effect, are left "
        "out.",
    )
    return Place(
        layer=None if layer in (ALL, None) else int(str(layer).removeprefix("L")),
        supernode=None if cluster in (ALL, None) else int(str(cluster)),
        least=float(least or 0.0),
    )


def of_circuit(features: pd.DataFrame, place: Place) -> pd.DataFrame:
    """A circuit's features that are left."""
    kept = features["total_effect"].abs() >= place.least
    if place.layer is not None:
        kept &= features["layer"] == place.layer
    if place.supernode is not None:
        kept &= features["supernode"] == place.supernode
    return features[kept].reset_index(drop=True)
