"""One set of filters, in the link, that every panel of the page obeys, or says why it cannot."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import streamlit as st
import xarray as xr

from dashboard.data.interventions import ALL, Filters
from dashboard.shell import query, selection
from pipeline.analysis.trials import MEANING
from store.schema.vocabulary import FROZEN, NOTHING

EXPERIMENT, VARIANT, STILL, LAYER, PROMPTS = "Experiment", "In", "Frozen", "Layer", "Prompts"
NAMES: Final = (EXPERIMENT, VARIANT, STILL, LAYER, PROMPTS)
"""As the page calls them."""

_GIVEN: Final = {
    EXPERIMENT: "base is given the adapted model's activations, or the adapted model base's",
    STILL: "nothing is frozen",
}
_OF_ALL: Final = {
    LAYER: "features of all layers are held together",
    PROMPTS: "shares are of all situations that order nothing",
}
BEYOND: Final[Mapping[str, Mapping[str, str]]] = {
    "trials": {},
    "beside": {},
    "prompts": {},
    "profiles": {},
    "positions": {EXPERIMENT: "it is one of its own", STILL: "nothing is frozen"},
    "predicted": {
        EXPERIMENT: "ablations are predicted, and transfers by change",
        STILL: "all that can be frozen is compared",
    },
    "silent": {EXPERIMENT: "silent is what an ablation does", STILL: "nothing is frozen"},
    "curves": {**_GIVEN, **_OF_ALL},
    "given": {**_GIVEN, VARIANT: "single features are given to base alone"},
    "parts": {**_GIVEN, **_OF_ALL, LAYER: "parts of all layers are held together"},
    "recipes": {
        EXPERIMENT: "a recipe does what it says",
        STILL: "it says what is frozen, too",
    },
}
"""Of every panel the filters that mean nothing there, and why; it obeys the others."""


def heading(panel: str, title: str, words: str) -> None:
    """A panel's title; on hover what it shows, and the rule by which it obeys the filters.

    Parameters
    ----------
    panel
        A key of `BEYOND`.
    title, words
        What it is called, and what it shows.
    """
    st.markdown(f"**{title}**", help=f"{words} {rule(panel)}")


def rule(panel: str) -> str:
    """In a sentence or two, which filters a panel obeys.

    >>> rule("trials")
    'Obeys every filter.'
    >>> rule("positions")
    'Obeys In, Layer and Prompts, not Experiment (it is one of its own) and Frozen (nothing is frozen).'
    """
    beyond = BEYOND[panel]
    if not beyond:
        return "Obeys every filter."
    obeyed = _listed([name for name in NAMES if name not in beyond])
    return f"Obeys {obeyed}, not {_listed([f'{name} ({why})' for name, why in beyond.items()])}."


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def uncut(chosen: Filters) -> None:
    """Say below a title that layers and prompts are not cut, where the filters name some."""
    if chosen.layer is not None or chosen.domain != ALL:
        st.caption("Of all layers and prompts.")


def choose(
    table: xr.Dataset, cells: xr.Dataset, *, variants: Iterable[str] = (), layers: Iterable[int] = ()
) -> Filters:
    """Draw the filters, and say what they leave.

    Parameters
    ----------
    table, cells
        The groups ``trials`` and ``cells`` of the interventions dataset.
    variants, layers
        Of saved recipes, which may be of others.
    """
    experiments = [name for name in MEANING if name in set(table["experiment"].values)]
    known = dict.fromkeys([*map(str, table["variant"].values), *variants])
    columns = st.columns([1.3, 1.2, 1.1, 0.8, 1.1], vertical_alignment="bottom")
    shown = columns[0].selectbox(
        EXPERIMENT,
        [name.replace("_", " ") for name in experiments],
        **query.TRIED.bound(),
        help="\n".join(f"- **{name.replace('_', ' ')}**: {MEANING[name]}" for name in experiments),
    )
    experiment = str(shown).replace(" ", "_")
    focus = selection.get(query.B)
    variant = columns[1].selectbox(
        VARIANT,
        sorted(known, key=lambda one: one != focus),
        **query.TRIED_IN.bound(),
        help="The variant whose features are intervened on. Measured for base and the focus adapter; recipes "
        "may be of others.",
    )
    of = table["experiment"].values == experiment
    frozen = columns[2].selectbox(
        STILL,
        [name for name in FROZEN if name in set(table["frozen"].values[of])] or [NOTHING],
        **query.STILL.bound(),
        help="What stays as it is without the intervention: scales of norms, attention patterns, outputs of "
        "all MLPs, all of these. With everything frozen only direct effects are left. Ablations alone are "
        "done with something frozen.",
    )
    numbers = sorted({*map(int, table["layer"].values), *layers})
    layer = columns[3].selectbox(
        LAYER,
        [ALL, *(f"L{layer}" for layer in numbers)],
        **query.TRIED_LAYER.bound(),
        help="Of the feature, of either of two, of any of a recipe; 0-based.",
    )
    domain = columns[4].selectbox(
        PROMPTS,
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
