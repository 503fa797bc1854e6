"""Effects of trials on behaviours: a table, a chart beside controls, and prompt by prompt."""

from typing import Any, Final

import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.charts.interventions import profiles
from dashboard.charts.partnered import experiments
from dashboard.data.interventions import profiles_frame
from dashboard.data.partnered import WHOLE, Filters
from dashboard.shell import downloads
from dashboard.style.text import count, interval, number, plain
from dashboard.views.behaviours import filters
from dashboard.widgets import chosen_feature, row_table, tried_effects
from store.schema.vocabulary import ABLATION, INHIBITION, PATCHING

_CONTRAST: Final = "right answer's logit minus the wrong one's where they part"
_AXIS: Final = "effect on right minus wrong (logits)"
_CLUSTERS: Final = 3
DONE: Final = {
    ABLATION: "the activation becomes 0 wherever the feature is active",
    INHIBITION: "it becomes minus itself (params.yaml: behaviour_interventions.inhibition)",
    PATCHING: "it becomes what it is on the prompt's partner, at the tokens that decide; prompts whose "
    "partner is not as long are left out",
}


def number_column(title: str, words: str, form: str = "%.3g") -> Any:
    """A column of numbers."""
    return st.column_config.NumberColumn(title, format=form, help=words)


def _told(trials: pd.DataFrame, prompts: xr.Dataset, asked: Filters) -> str:
    """What was found, in a sentence or two."""
    if trials.empty:
        return "Nothing is left by the filters."
    own = trials[trials["whose"] == "own"]
    acts = own[own["verdict"] == "acts"]
    words = f"{count(len(acts))} of {count(len(own))} features act by themselves: {DONE[asked.experiment]}."
    layers = trials[(trials["whose"] == "layer") & (trials["verdict"] == "acts")]
    if len(layers):
        first = layers.loc[layers["effect"].abs().idxmax()]
        words += (
            f" The largest layer: {first['feature']} in {first['behaviour']}, "
            f"{number(first['effect'], sign=True)} {interval(first['low'], first['high'])} logits."
        )
    mine = prompts["unpaired"].values[pd.Series(prompts["behaviour"].values).isin(asked.behaviours)]
    out = int((mine != "").sum())
    if asked.experiment == PATCHING and out:
        words += f" {count(out)} of {count(len(mine))} prompts have no partner of equal length."
    return words


def table(trials: pd.DataFrame, prompts: xr.Dataset, asked: Filters) -> None:
    """Draw the table; a row chooses the feature for every page."""
    filters.heading(
        "trials",
        "What does it do?",
        f"Effect: intervened minus baseline, on the {_CONTRAST}; mean over groups of test prompts. "
        "Features are the first of circuits found on train prompts.",
    )
    st.caption(plain(_told(trials, prompts, asked)))
    shown = trials.assign(
        interval=[interval(low, high) for low, high in zip(trials["low"], trials["high"], strict=True)]
    )
    key = "-".join(
        [
            *("partnered", asked.experiment, str(asked.place), str(asked.flips), str(asked.feature)),
            *asked.behaviours,
        ]
    )

    row_table.show(
        shown,
        key=key,
        choose=chosen_feature.choose,
        order=[
            *("feature", "behaviour", "whose", "effect", "interval", "control_mean", "verdict", "q"),
            *("flips", "baseline", "effect_log_probability", "p_controls", "p", "n_groups", "n_acting"),
            "n_unpaired",
        ],
        columns={
            "feature": st.column_config.TextColumn(
                "feature", help="Layer and index, both 0-based, and its name; or a layer's all.", pinned=True
            ),
            "behaviour": st.column_config.TextColumn("on", help="On whose prompts."),
            "whose": st.column_config.TextColumn(
                "whose", help="Of its own circuit, of another behaviour's (a null), or all of a layer."
            ),
            "effect": number_column("effect", f"Intervened minus baseline, {_CONTRAST}."),
            "interval": st.column_config.TextColumn(
                "interval", help="Bootstrap-t over groups; empty: too few to tell."
            ),
            "control_mean": number_column(
                "controls", "Mean effect of the same done to features matched by layer, activation and norm."
            ),
            "verdict": st.column_config.TextColumn(
                "it",
                help="acts: its interval leaves out 0, q is at most behaviour_interventions.fdr, and p "
                "controls at most its level. silent: its whole interval is near 0. inactive: nothing to "
                "change.",
            ),
            "q": number_column("q", "False discovery rate (Benjamini-Hochberg) of p, by experiment.", "%.2g"),
            "flips": number_column(
                "flips", "Share of prompts on which the contrast's sign turns.", "percent"
            ),
            "baseline": number_column("baseline", "The contrast without it."),
            "effect_log_probability": number_column(
                "log p(right)", "Change for the right answer's token, nats."
            ),
            "p_controls": number_column(
                "p controls",
                "Share of matched features whose mean effect is as large, itself among them.",
                "%.2g",
            ),
            "p": number_column("p", "Signs of groups flipped, as if their answers were swapped.", "%.2g"),
            "n_groups": st.column_config.NumberColumn("groups", help="Nouns, countries, reasons, sums."),
            "n_acting": st.column_config.NumberColumn("n", help="Prompts with something to change."),
            "n_unpaired": st.column_config.NumberColumn(
                "left out", help="Prompts whose partner is not as long, of patching."
            ),
        },
    )
    downloads.downloads(trials, "behaviour-interventions", key="partnered-data")


def beside_controls(trials: pd.DataFrame) -> None:
    """Draw effects beside those of matched features."""
    acting = trials[trials["effect"].notna()]
    if len(acting):
        tried_effects.beside_controls(
            acting.assign(row=acting["feature"] + ", " + acting["behaviour"]),
            name="behaviour-interventions",
            words="Points: effects with intervals, dark where it acts. Ticks: the mean effect of the same "
            f"done to its controls; a whole layer has none. {filters.PANELS['beside'].rule}",
            axis=_AXIS,
        )


def before_after(cells: pd.DataFrame) -> None:
    """Draw every prompt before and after."""
    if len(cells):
        tried_effects.before_after(
            cells,
            name="behaviour-interventions",
            words="The contrast. Off the dashed line the prompt moved; triangles: the sign turned, the wrong "
            f"answer is preferred now, or is not any more. {filters.PANELS['cells'].rule}",
        )


def by_prompt(cells: pd.DataFrame) -> None:
    """Draw single features' effects by prompt, like ones together."""
    filters.heading(
        "profiles",
        "Which features do alike?",
        "Effects by feature and prompt, clustered by average linkage of 1 - |cosine|: features that do "
        "the same, or the opposite, on the same prompts stand together.",
    )
    single = cells[cells["setting"] != WHOLE]
    if single.empty:
        st.caption("Nothing is left by the filters.")
        return
    frame = profiles_frame(single.assign(prompt=single["hash"], domain=single["group"]), _CLUSTERS)
    downloads.chart(
        profiles(frame),
        frame,
        "behaviour-profiles",
        key="partnered-profiles",
        alt=f"Effects of {count(frame['feature'].nunique())} features by prompt, like ones together.",
    )


def by_experiment(trials: pd.DataFrame) -> None:
    """Draw effects of all experiments side by side."""
    filters.heading(
        "experiments",
        "Do the experiments agree?",
        "Mean effects of the same feature ablated, inhibited and patched; empty: not measured. Patched, "
        "a feature takes its partner's activation, so that what both share does nothing.",
    )
    known = trials[trials["effect"].notna()]
    if known.empty:
        st.caption("Nothing is left by the filters.")
        return
    known = known.assign(row=known["feature"] + ", " + known["behaviour"])
    downloads.chart(
        experiments(known),
        known,
        "behaviour-experiments",
        key="partnered-experiments",
        alt=f"Mean effects of {count(known['row'].nunique())} features and layers by experiment.",
    )
