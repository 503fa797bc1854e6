"""Predicted against measured effects, by what is frozen: where does an effect die?"""

import numpy as np
import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.charts import interventions as charts
from dashboard.data import interventions as data
from dashboard.data import readers
from dashboard.shell import downloads, query
from dashboard.style.score_names import describe
from dashboard.style.text import interval, number
from dashboard.views.interventions import filters
from store.schema.vocabulary import ABLATION, FROZEN, PREDICTING, TRANSFER


def show(name: str, cells: xr.Dataset, everything: pd.DataFrame, chosen: data.Filters) -> None:
    """Draw the points, and how much of the prediction is left by what is frozen."""
    filters.heading(
        "predicted",
        "Where does an effect die?",
        "Effects of ablations as a score of the attribution graph has them (minus the score), against "
        "those measured with parts of the model frozen. With everything frozen the direct effect is measured "
        "to rounding; what is free may carry it on, or undo it. change predicts transfers.",
    )
    shown = st.selectbox(
        "Predicted by",
        [score.replace("_", " ") for score in PREDICTING],
        **query.PREDICTED_BY.bound(),
        help="The score of the stored graphs that predicts.",
    )
    score = str(shown).replace(" ", "_")
    experiment = TRANSFER if score == "change" else ABLATION
    asked = data.Filters(
        experiment=experiment,
        variant=chosen.variant,
        frozen=chosen.frozen,
        layer=chosen.layer,
        domain=chosen.domain,
    )
    trials = data.chosen(everything, asked, every=("frozen",))
    frame = data.predictions_frame(cells, trials, score, chosen.domain)
    if frame.empty:
        st.caption("Nothing is predicted by these filters.")
        return
    words = describe(score)
    downloads.chart(
        charts.agreement(
            frame,
            score=words.label,
            unit=words.unit,
            frozen=[one for one in FROZEN if one in set(frame["frozen"])],
        ),
        frame,
        f"interventions-{score}",
        key="interventions-predicted",
        alt=f"Effects predicted by {words.label} against measured ones, by what is frozen.",
    )
    if chosen.layer is None and chosen.domain == data.ALL:
        table = readers.dataset(name, "interventions", "agreement").to_dataframe().reset_index(drop=True)
        mine = (table["score"] == score) & (table["experiment"] == experiment)
        _left(table[mine & (table["variant"] == chosen.variant)], score)
    else:
        st.caption("Of these points alone; intervals are over all layers and prompts.")
        _left(data.agreement_frame(frame).assign(low=np.nan, high=np.nan), score)


def _left(mine: pd.DataFrame, score: str) -> None:
    """The table of slopes."""
    shown = mine.assign(
        left=[f"{number(one.slope)} {interval(one.low, one.high)}" for one in mine.itertuples()]
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="agreement",
        height=downloads.table_height(len(shown)),
        placeholder="—",
        column_order=["frozen", "left", "spearman", "same_sign"],
        column_config={
            "frozen": st.column_config.TextColumn("frozen", help="What stays as it is."),
            "left": st.column_config.TextColumn(
                "measured by predicted",
                help="Slope of least squares through 0, with a bootstrap-t interval over situations: 1 is as "
                "predicted, 0 is nothing left.",
            ),
            "spearman": st.column_config.NumberColumn(
                "rank correlation", format="%.3g", help="Spearman's, over features and situations."
            ),
            "same_sign": st.column_config.NumberColumn(
                "sign", format="percent", help="Share of effects whose sign is as predicted."
            ),
        },
    )
    downloads.downloads(mine, f"interventions-agreement-{score}", key="agreement-data")
