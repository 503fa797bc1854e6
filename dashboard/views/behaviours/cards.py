"""Does it pass? A card a behaviour, and every variant beside the others."""

from collections.abc import Mapping
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.charts import behaviours as charts
from dashboard.charts.rates import interval_dots
from dashboard.shell import downloads
from dashboard.shell.frame import METRIC
from dashboard.style.text import count, number, percent, plain, share_interval

_ABREAST: Final = 4
PASSES: Final = {True: "✓ PASS", False: "✗ FAIL"}
_NATS: Final = "Mean log-probability a token of the right answer minus that of the wrong one, in nats"
_COLUMNS: Final = {
    "variant": st.column_config.TextColumn("variant", help="Base, or an adapter at a scale."),
    "behaviour": st.column_config.TextColumn("behaviour", help="What the model is to do."),
    "passes": st.column_config.TextColumn(
        "passes", help="PASS: the accuracy is what params.yaml asks for (behaviours.bar, bars), or more."
    ),
    "accuracy": st.column_config.NumberColumn(
        "accuracy",
        format="percent",
        help="Share of prompts that succeed: whose difference is above the behaviour's threshold.",
    ),
    "interval": st.column_config.TextColumn(
        "its interval",
        help="Wilson's, of the effective number of prompts: those of one group are alike.",
    ),
    "sign_accuracy": st.column_config.NumberColumn(
        "right preferred", format="percent", help="Share of prompts with a difference above 0."
    ),
    "mean": st.column_config.NumberColumn("mean", format="%.3g", help=f"{_NATS}; mean over prompts."),
    "median": st.column_config.NumberColumn("median", format="%.3g", help=f"{_NATS}; median over prompts."),
    "deviation": st.column_config.NumberColumn(
        "deviation", format="%.3g", help="Standard deviation of the differences, of a sample."
    ),
    "decision": st.column_config.NumberColumn(
        "decision",
        format="%.3g",
        help="Logit of the right answer's token minus the wrong one's where they first differ; mean over "
        "prompts. Tokens that both share decide nothing.",
    ),
    "decision_accuracy": st.column_config.NumberColumn(
        "decided right", format="percent", help="Share of prompts with a decision above 0."
    ),
    "n": st.column_config.NumberColumn("prompts", help="Measured."),
    "n_groups": st.column_config.NumberColumn(
        "groups", help="Nouns, subjects, reasons or pairs of operands: the unit of the interval."
    ),
    "correct_tokens": st.column_config.NumberColumn(
        "right tokens",
        format="%.3g",
        help="Mean length of right answers. A mean a token favours longer ones.",
    ),
    "incorrect_tokens": st.column_config.NumberColumn(
        "wrong tokens", format="%.3g", help="Mean length of wrong answers."
    ),
}


def doubt(low: float, high: float, passing: float) -> str:
    """What there is to say where an interval holds the share that passes; else nothing."""
    return f" {percent(passing)} lie within: it may pass or fail." if low < passing <= high else ""


def show(summary: pd.DataFrame, measured: pd.DataFrame, colour: str, level: str) -> None:
    """A card a behaviour: PASS or FAIL, accuracy, and the differences with the threshold.

    Parameters
    ----------
    summary
        Rows of `dashboard.data.behaviours.summary` of one variant and split.
    measured
        Rows of `dashboard.data.behaviours.measured` of the same.
    colour
        Of the variant.
    level
        The intervals in words.
    """
    rows = list(summary.itertuples())
    columns = st.columns(min(len(rows), _ABREAST) or 1)
    for place, row in enumerate(rows):
        with columns[place % len(columns)].container(border=True):
            st.metric(
                str(row.behaviour),
                f"{PASSES[bool(row.passes)]} {percent(row.accuracy)}",
                help=f"{percent(row.accuracy)} of prompts succeed: the right answer is more probable than "
                f"the wrong one by more than {number(row.success)} nats a token. To pass, "
                f"{percent(row.passing)} must.",
                height=METRIC,
            )
            st.caption(
                f"{level} {share_interval(row.low, row.high)}, {count(row.n)} prompts of "
                f"{count(row.n_groups)} groups.{doubt(row.low, row.high, row.passing)} Mean "
                f"{number(row.mean)} nats a token, decision {number(row.decision)} logits."
            )
            values = measured.loc[measured["behaviour"] == row.behaviour, ["prompt", "difference"]]
            downloads.chart(
                charts.differences(values["difference"].to_numpy(), success=row.success, colour=colour),
                values,
                f"differences-{row.behaviour}",
                key=f"differences-{row.behaviour}",
                alt=f"{row.behaviour}: prompts by how much more probable the right answer is than the wrong; "
                f"{percent(row.accuracy)} lie above the threshold {number(row.success)}",
            )
            if not row.passes:
                st.caption("What is found of a behaviour that fails says little of how a model does it.")


def every_variant(summary: pd.DataFrame, colours: Mapping[str, str], level: str) -> None:
    """Accuracy of every variant, and all numbers as a table: what does an adapter leave alone?"""
    st.subheader("Every variant", anchor=False)
    drawn = summary.rename(columns={"accuracy": "rate"}).assign(
        passed=[PASSES[bool(each)] for each in summary["passes"]]
    )
    downloads.chart(
        interval_dots(
            drawn,
            colours,
            row="behaviour",
            axis=f"accuracy with its {level}",
            tooltip={
                "behaviour": "behaviour",
                "variant": "variant",
                "passed": "passes",
                "written": "accuracy",
                "between": level,
                "n": "n prompts",
                "n_groups": "n groups",
            },
        ),
        drawn,
        "behaviours-by-variant",
        key="behaviours-by-variant",
        alt="Accuracy by behaviour and variant, each with its interval; the table below has the numbers",
    )
    bars = summary.drop_duplicates("behaviour")
    asked = ", ".join(f"{row.behaviour} {percent(row.passing)}" for row in bars.itertuples())
    st.caption(plain(f"To pass: {asked}."))
    table = summary.assign(
        passes=[PASSES[bool(each)] for each in summary["passes"]],
        interval=[share_interval(a, b) for a, b in zip(summary["low"], summary["high"], strict=True)],
    )
    st.dataframe(
        table,
        hide_index=True,
        key="behaviours-summary",
        height=downloads.table_height(len(table)),
        placeholder="—",
        column_order=list(_COLUMNS),
        column_config=_COLUMNS,
    )
    downloads.downloads(table, "behaviours", key="behaviours-summary")
