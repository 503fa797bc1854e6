"""How far those who label agree, and what of all prompts a ranking can rest on."""

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.data import documents, readers
from dashboard.data.project import made
from dashboard.shell import downloads
from dashboard.style.text import count, interval, number, plain
from store.schema.labels import LABELS, MEASURES, TOKEN_LABELS
from store.schema.vocabulary import ALL

_NAMES: Final = {
    "agreement": "same label",
    "kappa": "kappa",
    "kappa_evil": "kappa, evil",
    "alpha_unweighted": "alpha, unweighted",
    "precision_evil": "precision on evil",
    "recall_evil": "recall on evil",
    "false_alarm_evil": "false alarms",
}
_HELP: Final = {
    "agreement": "Share of candidates that both give the same label.",
    "kappa": "Cohen's kappa of evil, safe and unsure: 0 what chance gives, 1 full agreement.",
    "kappa_evil": "Cohen's kappa of evil against the rest.",
    "alpha_unweighted": "Krippendorff's alpha of nominal labels, of what was drawn: it cannot weigh draws.",
    "precision_evil": "Of what the rater calls evil, the share that is so by the reference.",
    "recall_evil": "Of what is evil by the reference, the share that the rater calls so.",
    "false_alarm_evil": "Of what is not evil by the reference, the share that the rater calls evil.",
}


def show(name: str) -> None:
    """Draw funnel, agreement and confusions of a profile, as of the last `dvc repro`."""
    if not made(name, LABELS.kind):
        return
    with st.expander("Agreement, as of the last `dvc repro`"):
        _funnel(documents.metrics(name).get("labels", {}).get("funnel", {}))
        table = readers.dataset(name, LABELS.kind, "agreement")
        if not table.sizes["pair"]:
            st.caption(
                "Nobody to compare yet: label some prompts, or name two judges in params.yaml, and run "
                "`dvc repro`."
            )
            return
        domain = st.selectbox(
            "Domain",
            [str(value) for value in table["domain"].values],
            key="agreement-domain",
            help="Domain of the prompts; all: every prompt.",
        )
        _table(table.sel(domain=domain), str(domain))
        _confusion(readers.dataset(name, LABELS.kind, "confusion").sel(domain=domain))


def _funnel(of: dict[str, int]) -> None:
    if not of:
        return
    st.caption(
        plain(
            f"{count(of['found'])} prompts, {count(of['fit'])} of them fit; evil candidates by a judge on "
            f"{count(of['judged_evil'])}, by a person on {count(of['human_evil'])}; {count(of['complete'])} "
            f"labelled whole, {count(of['divergent'])} of these divergent: evil in the adapted model only."
        )
    )


def _table(table: xr.Dataset, domain: str) -> None:
    columns: dict[str, list[str]] = {
        "rater": [str(value) for value in table["rater"].values],
        "against": [str(value) for value in table["reference"].values],
    }
    for place, measure in enumerate(MEASURES):
        values, low, high = (table[part].values[:, place] for part in ("value", "low", "high"))
        columns[measure] = [
            f"{number(value)} {interval(a, b)}" if np.isfinite(a) else number(value)
            for value, a, b in zip(values, low, high, strict=True)
        ]
    frame = pd.DataFrame(columns).assign(candidates=table["n_items"].values[:, 0])
    st.dataframe(
        frame,
        hide_index=True,
        key="agreement",
        column_config={
            "rater": st.column_config.TextColumn("rater", help="Who is held against the other."),
            "against": st.column_config.TextColumn("against", help="The reference."),
            **{
                measure: st.column_config.TextColumn(
                    _NAMES[measure], help=f"{_HELP[measure]} With an interval over situations; none: too few."
                )
                for measure in MEASURES
            },
            "candidates": st.column_config.NumberColumn(
                "n", help="Candidates that both have labelled; what lacks a label is left out."
            ),
        },
    )
    scope = "all domains" if domain == ALL else f"domain {domain}"
    st.caption(
        plain(
            f"Candidates of {scope}. Beside a judge, what a person drew from the queue stands for all "
            "prompts, by its weight; what was chosen by hand is left out where there is a queue."
        )
    )
    downloads.downloads(frame, "agreement", key="agreement")


def _confusion(table: xr.Dataset) -> None:
    pairs = [
        f"{rater} against {reference}"
        for reference, rater in zip(table["reference"].values, table["rater"].values, strict=True)
    ]
    chosen = st.selectbox(
        "Confusion of", pairs, key="confusion-pair", help="Candidates by both their labels."
    )
    counts = table["n"].values[pairs.index(str(chosen))]
    st.dataframe(
        pd.DataFrame(
            counts,
            index=[f"reference: {label}" for label in TOKEN_LABELS],
            columns=[f"rater: {label}" for label in TOKEN_LABELS],
        ),
        key="confusion",
    )
