"""Through which parts of the model does the difference between base and adapted go?"""

import streamlit as st

from dashboard.charts import interventions as charts
from dashboard.data import interventions as data
from dashboard.data import readers
from dashboard.shell import downloads
from dashboard.shell.guard import guard
from dashboard.style.text import plain
from dashboard.views.interventions import filters
from store.documents.variants import BASE

_DATASET = "faithfulness"
_DONE = {
    True: "base, with these parts of every layer as they are in the adapted model",
    False: "the adapted model, with these parts of every layer as they are in base",
}


def show(name: str, chosen: data.Filters) -> None:
    """Draw the share of each part, in the variant that the filters name."""
    with guard("Through which parts of the model the difference between base and adapted goes."):
        filters.heading(
            "parts",
            "Through what does the difference go?",
            "Share of the adapter's change of the log-odds of evil against safe tokens that whole parts "
            "of all layers carry, on situations that order nothing: features: what all features of the "
            "dictionary write; errors: what they leave of an MLP's output; adapter: what the adapter writes "
            "through MLPs at the same input; attention: what it writes through attention. Later layers "
            "answer, so shares of parts need not add up; all together are 1.",
        )
        filters.uncut(chosen)
        difference = readers.dataset(name, _DATASET, "difference")
        adapted = str(difference["variant"].values[0])
        if chosen.variant not in (BASE, adapted):
            st.caption(plain(f"Measured of {adapted} alone, in it and in base."))
            return
        is_base = chosen.variant == BASE
        frame = data.parts_frame(readers.dataset(name, _DATASET, "parts"), given=is_base)
        said = f"In {_DONE[is_base]}."
        st.caption(plain(said))
        if frame["share"].isna().all():
            st.caption(plain(f"No share is known: {difference['reason'].values[0]}."))
            return
        downloads.chart(
            charts.parts(frame),
            frame,
            "interventions-parts",
            key="interventions-parts",
            alt=f"Share of the difference by part. {said}",
        )
