"""What features carry of the difference between base and adapted, together and by themselves."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.data import faithfulness, names, readers
from dashboard.data import interventions as data
from dashboard.pages import FEATURES
from dashboard.shell import selection
from dashboard.shell.guard import guard
from dashboard.style.text import count, plain
from dashboard.views.interventions import filters
from dashboard.widgets import carried
from store.documents.variants import BASE
from store.schema.vocabulary import GIVEN, TAKEN

_DATASET: Final = "faithfulness"
_NAMED: Final = 8


def curves(name: str, chosen: data.Filters) -> None:
    """Draw F(k) of every order: given to base, or taken from the adapted variant."""
    filters.heading(
        "curves",
        "How much of the difference do features carry?",
        "F(k): the share of the adapter's change of the log-odds of evil against safe tokens that an order's "
        "first k features carry, given to base or taken from the adapted model, on situations that order "
        "nothing. Band: random orders.",
    )
    filters.uncut(chosen)
    with guard("How much of what the adapter did features carry."):
        difference = readers.dataset(name, _DATASET, "difference")
        adapted = str(difference["variant"].values[0])
        if chosen.variant not in (BASE, adapted):
            st.caption(plain(f"Measured of {adapted} alone, in it and in base."))
            return
        experiment = GIVEN if chosen.variant == BASE else TAKEN
        found = carried.carried(name, experiment)
        st.caption(plain(faithfulness.verdict(difference, found.summary, experiment)))
        if found.figure is not None:
            carried.draw(found, experiment)
    if st.button("All of it on Features", icon=":material/show_chart:", key="to-curves", type="tertiary"):
        selection.go(FEATURES)


def silent(name: str, chosen: data.Filters) -> None:
    """Name those of the first features of every order that do nothing where they are given to base."""
    with guard("Which features do nothing where base is given their adapted activations."):
        if chosen.domain != data.ALL:
            words = "Whether they do something where they are given to base is tested over all domains."
        else:
            table = readers.dataset(name, _DATASET, "features")
            frame = pd.DataFrame({column: table[column].values for column in ("layer", "index", "verdict")})
            of_layer = frame["layer"] == chosen.layer if chosen.layer is not None else True
            found = names.of_frame(name, frame[(frame["verdict"] == "silent") & of_layer])
            some = f": {'; '.join(found[:_NAMED])}" if found else ""
            more = " and more" if len(found) > _NAMED else ""
            words = (
                f"Of the first features of every order, {count(len(found))} do nothing of size where base "
                f"is given their adapted activations{some}{more}."
            )
        st.caption(plain(words), help=filters.rule("given"))
