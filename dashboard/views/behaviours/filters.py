"""Filters, in the link, that every panel of the tabs obeys, or says why it cannot."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.data.partnered import ALL, Place
from dashboard.shell import query
from store.documents.behaviour_prompts import SPLITS

TRAIN, TEST = SPLITS
VARIANT, BEHAVIOUR, SPLIT, LAYER, SUPERNODE, LEAST = (
    *("Variant", "Behaviour", "Prompts", "Layer", "Supernode", "Least effect"),
)
EXPERIMENT, FLIPS, ONE_PROMPT, ONE_FEATURE = (
    *("Done to features", "Flips only", "This prompt only", "This feature only"),
)
OF_CIRCUIT: Final = (VARIANT, BEHAVIOUR, SPLIT, LAYER, SUPERNODE, LEAST)
"""Filters of the tab Circuit."""
OF_TRIED: Final = (*OF_CIRCUIT, EXPERIMENT, FLIPS, ONE_PROMPT, ONE_FEATURE)
"""Filters of the tab Interventions."""
_IN_BASE: Final = {VARIANT: "interventions are done in base"}
_TOGETHER: Final = {
    SUPERNODE: "a circuit is held as a whole",
    LEAST: "its features have no effects of their own here",
    FLIPS: "shares are of all prompts",
    ONE_PROMPT: "shares are of all prompts",
    ONE_FEATURE: "a circuit is held as a whole",
}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What a table or chart is of.

    Attributes
    ----------
    of
        The filters of its tab.
    split
        The one split that it is of; empty: of both, each prompt's own.
    beyond
        Filters that mean nothing there, and why.
    """

    of: Sequence[str]
    split: str = ""
    beyond: Mapping[str, str] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        """In a sentence or two, what it is of and which filters it obeys."""
        split = f"Of {self.split} prompts. " if self.split else ""
        if not self.beyond:
            return f"{split}Obeys every filter."
        obeyed = ", ".join(name for name in self.of if name not in self.beyond)
        out = ", ".join(f"{name} ({why})" for name, why in self.beyond.items())
        return f"{split}Obeys {obeyed}; not {out}."


PANELS: Final[Mapping[str, Panel]] = {
    "graph": Panel(of=OF_CIRCUIT, split=TRAIN),
    "layers": Panel(of=OF_CIRCUIT, split=TRAIN),
    "features": Panel(of=OF_CIRCUIT, split=TRAIN),
    "neighbours": Panel(
        of=OF_CIRCUIT,
        split=TRAIN,
        beyond=dict.fromkeys((LAYER, SUPERNODE, LEAST), "all neighbours of the chosen feature are shown"),
    ),
    "prompts": Panel(of=OF_CIRCUIT, beyond=dict.fromkeys((LAYER, SUPERNODE, LEAST), "a prompt has none")),
    "prompt": Panel(of=OF_CIRCUIT),
    "trials": Panel(of=OF_TRIED, split=TEST, beyond={**_IN_BASE, ONE_PROMPT: "tests are of all prompts"}),
    "beside": Panel(of=OF_TRIED, split=TEST, beyond={**_IN_BASE, ONE_PROMPT: "tests are of all prompts"}),
    "cells": Panel(of=OF_TRIED, split=TEST, beyond=_IN_BASE),
    "profiles": Panel(of=OF_TRIED, split=TEST, beyond=_IN_BASE),
    "experiments": Panel(
        of=OF_TRIED,
        split=TEST,
        beyond={**_IN_BASE, EXPERIMENT: "all are compared", ONE_PROMPT: "means are of all prompts"},
    ),
    "curves": Panel(
        of=OF_TRIED,
        split=TEST,
        beyond={
            **_IN_BASE,
            LAYER: "a circuit is held as a whole",
            EXPERIMENT: "what is done to a circuit is chosen below",
            **_TOGETHER,
        },
    ),
    "parts": Panel(
        of=OF_TRIED,
        split=TEST,
        beyond={**_IN_BASE, EXPERIMENT: "parts are as on the partner", **_TOGETHER},
    ),
    "importance": Panel(
        of=OF_TRIED,
        split=TRAIN,
        beyond={
            **_IN_BASE,
            LEAST: "a correlation is no effect",
            EXPERIMENT: "nothing is done",
            FLIPS: "nothing is done",
            ONE_PROMPT: "it is over prompts",
        },
    ),
}
"""Every table and chart of the tabs Circuit and Interventions."""


def heading(panel: str, title: str, words: str) -> None:
    """A panel's title; on hover what it shows, of which prompts, and which filters it obeys."""
    st.markdown(f"**{title}**", help=f"{words} {PANELS[panel].rule}")


_LARGEST = 5.0
"""Of the least effects that may be asked for, logits."""


def has(panel: str, split: str, what: str) -> bool:
    """Whether a panel shows anything of the chosen split; where not, that is said of `what`."""
    own = PANELS[panel].split
    if split in (ALL, own):
        return True
    st.caption(f"{what} of {own} prompts alone, and Prompts is on {split}.")
    return False


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


def among(edges: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Edges with both ends among the features."""
    known = pd.MultiIndex.from_frame(features[["layer", "index"]])
    inside = [
        pd.MultiIndex.from_frame(edges[[f"{end}_layer", f"{end}_index"]]).isin(known)
        for end in ("source", "target")
    ]
    return edges[inside[0] & inside[1]]
