"""How a ranking reads: the orders that it offers, named for what they are, and what is found in it."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.shell import query
from dashboard.style.score_names import describe
from dashboard.style.text import count, number, percent
from pipeline.analysis.live_ranking import WITH_LABELS
from pipeline.analysis.stability import FIRST

_BY_P = {"smallest q": ("q", True), "smallest p": ("p", True)}
_ORDERS = {"toward harm": ("effect", False), "toward safety": ("effect", True), **_BY_P}
# A feature that protects less than in the base is no feature that pushes toward harm (trap 33).
_OF_CHANGE = {
    "more harmful or less protective": ("effect", False),
    "less harmful or more protective": ("effect", True),
    **_BY_P,
}
# Activations have no evil and safe side: they are compared with base only.
_OF_ACTIVATION = {"more than base": ("effect", False), "less than base": ("effect", True), **_BY_P}
EVERY_ORDER: Final = _ORDERS | _OF_CHANGE | _OF_ACTIVATION
_FEW_EFFECTIVE: Final = 12
"""Fewer effective situations than this are said to be few."""


def orders(score: str, contrast: str) -> list[str]:
    """The orders of a table; what is chosen goes on by its other name where the one before had one."""
    within = contrast.startswith("evil-safe|")
    offered = list(_OF_ACTIVATION if score == "activation" else _ORDERS if within else _OF_CHANGE)
    chosen = st.session_state.get(query.ORDER.name)
    for others in map(list, (_ORDERS, _OF_CHANGE, _OF_ACTIVATION)):
        if chosen not in offered and chosen in others:
            st.session_state[query.ORDER.name] = offered[others.index(chosen)]
    return offered


def places(frame: pd.DataFrame) -> np.ndarray:
    """Places in a ranking of the rows that the page's filters leave, in its order; no row is copied."""
    keep = np.ones(len(frame), dtype=bool)
    layer = str(st.session_state.get("layer", "all"))
    if layer != "all":
        keep &= frame["layer"].to_numpy() == int(layer.removeprefix("L"))
    if st.session_state.get("tested"):
        keep &= frame["q"].notna().to_numpy()
    found = np.flatnonzero(keep)
    column, ascending = EVERY_ORDER[str(st.session_state.get("order", "toward harm"))]
    if (column, ascending) == ("effect", False):
        return found  # which is the ranking's own order
    return found[np.argsort(frame[column].to_numpy()[found], kind="stable")]  # all others ascend


def ranked_words(params: Mapping[str, Any], score: str, stability: float) -> str:
    """What the ranking leaves out or weighs by params, and how firm its order is; empty: nothing, unknown."""
    words = []
    if params.get("tag"):
        words.append(f"Only prompts with the tag {params['tag']} are ranked on.")
    if params.get("divergent_only"):
        words.append("Only divergent prompts are ranked on.")
    if params.get("by_pivotality") and score in WITH_LABELS:
        words.append(
            "Prompts weigh by their pivotality: effects are means over prompts whose weight is by how much "
            "the next token changes the focus variant's harm, 1 in the mean; prompts of which that is not "
            "told are left out."
        )
    if params.get("excluded_layers"):
        layers = ", ".join(f"L{layer}" for layer in params["excluded_layers"])
        words.append(f"Features of {layers} are not ranked.")
    if np.isfinite(stability):
        words.append(
            f"Of the first {FIRST} toward harm, {percent(stability)} are among the first {FIRST} when "
            "situations are drawn anew."
        )
    return " ".join(words)


def found_words(frame: pd.DataFrame, params: Mapping[str, Any], score: str) -> str:
    """What passes test and floor, and how many situations it rests on."""
    found, unit = int(frame["found"].to_numpy().sum()), describe(score).unit
    least = params.get("floor", {}).get(unit)
    words = (
        f"{count(found)} features are found: q at most {number(params.get('fdr', 0.05))}"
        + (f" and an effect of {number(least)} {unit} or more" if least else "")
        + f", of {count(int(frame['q'].notna().sum()))} tested."
    )
    effective = frame["n_effective"].to_numpy()
    shown = effective[frame["found"].to_numpy(bool)]
    shown = shown if len(shown) else effective
    told = shown[np.isfinite(shown)]
    if len(told) and (median := float(np.median(told))) < _FEW_EFFECTIVE:
        words += (
            f" Few independent situations: situations of one domain are alike, so that they are worth "
            f"{number(median)} (median)."
        )
    return words
