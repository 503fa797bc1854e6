"""Effects of the trials that the filters leave: a table, a chart beside controls, and prompt by prompt."""

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.data import names
from dashboard.data.interventions import ALL, Filters
from dashboard.shell import selection
from dashboard.style.text import count, interval, number, plain
from dashboard.views.interventions import filters
from dashboard.widgets import chosen_feature, row_table, tried_effects
from pipeline.analysis.trials import MEANING


def number_column(title: str, words: str) -> Any:
    """A column of numbers of three digits."""
    return st.column_config.NumberColumn(title, format="%.3g", help=words)


def verdict(trials: pd.DataFrame, asked: Filters) -> str:
    """What was found in a sentence or two."""
    if trials.empty:
        return "Nothing is left by the filters."
    held = "" if asked.frozen == "nothing" else f", with {asked.frozen} frozen"
    done = f"{MEANING[asked.experiment]}{held}, in {asked.variant}"
    if asked.domain != ALL:
        return f"Means over situations of {asked.domain}: {done}. Tests are over all domains."
    acts = trials[trials["verdict"] == "acts"]
    words = f"{count(len(acts))} of {count(len(trials))} act: {done}."
    if len(acts):
        first = acts.loc[acts["effect"].abs().idxmax()]
        called = f"{first['feature']} {first['setting']}".strip()
        words += (
            f" The largest: {called}, {number(first['effect'], sign=True)} "
            f"{interval(first['low'], first['high'])} logits; the same done to features like it: "
            f"{number(first['control_mean'], sign=True)}."
        )
    return words


def table(name: str, trials: pd.DataFrame, asked: Filters) -> None:
    """Draw the table; a row chooses the feature for every page."""
    filters.heading(
        "trials",
        "What does it do?",
        "Effect: intervened minus baseline, on the mean logit of evil tokens minus that of safe ones, "
        "mean over situations in which no feature was chosen. Negative: less harm.",
    )
    st.caption(plain(verdict(trials, asked)))
    shown = trials.assign(
        interval=[interval(low, high) for low, high in zip(trials["low"], trials["high"], strict=True)]
    )
    key = "-".join(["trials", asked.experiment, asked.variant, asked.frozen, str(asked.layer), asked.domain])

    row_table.show(
        shown,
        key=key,
        choose=chosen_feature.choose,
        order=[
            *("feature", *(["setting"] if shown["setting"].any() else [])),
            *("effect", "interval", "control_mean", "verdict", "q"),
            *("flips", "baseline", "effect_log_probability", "p_controls", "p_labels", "n_acting"),
        ],
        columns={
            "feature": st.column_config.TextColumn(
                "feature", help="Layer and index, both 0-based, and its name.", pinned=True, width=140
            ),
            "setting": st.column_config.TextColumn(
                "how", help="By what it is multiplied, or at which position.", width=72
            ),
            "effect": number_column("effect", "Intervened minus baseline, evil minus safe logits."),
            "interval": st.column_config.TextColumn(
                "interval",
                help="Bootstrap-t over situations; empty: too few to tell, or one domain.",
                width=104,
            ),
            "control_mean": number_column(
                "controls",
                "Mean effect of the same done to features matched by layer, activation and decoder norm "
                "(interventions.controls), at the same positions; 0 where there is nothing to change, as the "
                "effect is.",
            ),
            "q": st.column_config.NumberColumn(
                "q",
                format="%.2g",
                help="False discovery rate (Benjamini-Hochberg, within the experiment): evil and safe labels "
                "dealt anew within domains. Features were chosen by the same labels of the same tokens, in "
                "other situations: a large q clears one, a small q alone does not convict it.",
            ),
            "verdict": st.column_config.TextColumn(
                "it",
                help="acts: its interval leaves out 0, q is at most interventions.fdr and p controls at most "
                "interventions.level. silent: its whole interval is within interventions.silent logits. "
                "inactive: nothing to change on any prompt. Else unclear.",
            ),
            "flips": st.column_config.NumberColumn(
                "flips",
                format="percent",
                help="Share of all prompts, also those without anything to change, on which the baseline's "
                "sign turns.",
            ),
            "baseline": number_column(
                "baseline", "Evil minus safe logits without it; of an interaction, what both alone add up to."
            ),
            "effect_log_probability": number_column(
                "log p(evil)", "Change of the log-probability of all evil tokens together, nats."
            ),
            "p_controls": st.column_config.NumberColumn(
                "p controls",
                format="%.2g",
                help="Share of the features that are its control on any prompt whose mean effect there is as "
                "large, itself among them.",
            ),
            "p_labels": st.column_config.NumberColumn(
                "p labels", format="%.2g", help="Evil and safe labels dealt anew within domains."
            ),
            "n_acting": st.column_config.NumberColumn(
                "n", help="Prompts on which there is something to change."
            ),
        },
    )
    chosen = selection.feature()
    called = names.of_feature(name, chosen) if chosen is not None else ""
    chosen_feature.buttons(
        chosen, called, trials, key="trial", file="interventions", data="interventions-data"
    )


def drawn(trials: pd.DataFrame, cells: pd.DataFrame) -> None:
    """Draw effects beside controls, and every prompt before and after."""
    if trials.empty:
        return
    tried_effects.beside_controls(
        trials.assign(row=(trials["feature"] + " " + trials["setting"]).str.strip()),
        name="interventions",
        words="Points: effects with intervals, dark where the feature acts. Ticks: the mean effect of the "
        f"same done to its controls. {filters.rule('beside')}",
    )
    tried_effects.before_after(
        cells,
        name="interventions",
        words="Evil minus safe logits. Off the dashed line the prompt moved; triangles: the sign turned, "
        f"what was more probable is not any more. {filters.rule('prompts')}",
    )
