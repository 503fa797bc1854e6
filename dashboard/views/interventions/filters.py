"""One set of filters, in the link, that every panel of the page obeys."""

import streamlit as st
import xarray as xr

from dashboard.data.interventions import ALL, Filters
from dashboard.shell import query, selection
from pipeline.analysis.trials import MEANING
from store.schema.vocabulary import FROZEN, NOTHING


def choose(table: xr.Dataset, cells: xr.Dataset) -> Filters:
    """Draw the filters, and say what they leave."""
    experiments = [name for name in MEANING if name in set(table["experiment"].values)]
    variants = list(dict.fromkeys(map(str, table["variant"].values)))
    columns = st.columns([1.3, 1.2, 1.1, 0.8, 1.1], vertical_alignment="bottom")
    shown = columns[0].selectbox(
        "Experiment",
        [name.replace("_", " ") for name in experiments],
        **query.TRIED.bound(),
        help="\n".join(f"- **{name.replace('_', ' ')}**: {MEANING[name]}" for name in experiments),
    )
    experiment = str(shown).replace(" ", "_")
    focus = selection.get(query.B)
    variant = columns[1].selectbox(
        "In",
        sorted(variants, key=lambda one: one != focus),
        **query.TRIED_IN.bound(),
        help="The variant whose features are intervened on. Measured for base and the focus adapter.",
    )
    of = table["experiment"].values == experiment
    frozen = columns[2].selectbox(
        "Frozen",
        [name for name in FROZEN if name in set(table["frozen"].values[of])] or [NOTHING],
        **query.STILL.bound(),
        help="What stays as it is without the intervention: scales of norms, attention patterns, outputs of "
        "all MLPs, all of these. With everything frozen only direct effects are left. Ablations alone are "
        "done with something frozen.",
    )
    layers = sorted({int(layer) for layer in table["layer"].values})
    layer = columns[3].selectbox(
        "Layer",
        [ALL, *(f"L{layer}" for layer in layers)],
        **query.TRIED_LAYER.bound(),
        help="Of the feature, or of the first of two; 0-based.",
    )
    domain = columns[4].selectbox(
        "Prompts",
        [ALL, *sorted(set(map(str, cells["domain"].values)))],
        **query.TRIED_DOMAIN.bound(),
        help="Domain of the prompts. Intervals and tests are over all of them: of one domain there are means "
        "alone.",
    )
    return Filters(
        experiment=experiment,
        variant=str(variant),
        frozen=str(frozen),
        layer=None if layer == ALL else int(str(layer).removeprefix("L")),
        domain=str(domain),
    )
