"""By which circuit? Interventions along partners, F(k), and what carries a partner's effect."""

from typing import Final

import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.charts import faithfulness
from dashboard.charts import partnered as charts
from dashboard.data import behaviours, names, readers
from dashboard.data import partnered as data
from dashboard.shell import downloads, query
from dashboard.style.text import count, number, percent, plain, share_interval
from dashboard.style.theme import ADAPTED, MORE_COLOURS
from dashboard.views.behaviours import effects
from store.schema.behaviour_interventions import BEHAVIOUR_INTERVENTIONS
from store.schema.vocabulary import (
    ABLATION,
    CIRCUIT_EXPERIMENTS,
    NECESSARY,
    PARTNERED,
    REMOVED,
    SUFFICIENT,
)

_DATASET: Final = BEHAVIOUR_INTERVENTIONS.kind
_LARGEST: Final = 5.0
"""Of the least effects that may be asked for, logits."""
_REACHED: Final = 0.5
_IMPORTANT: Final = 50
HELD: Final = {
    SUFFICIENT: "on the partner, the circuit's first k features are as on the prompt",
    NECESSARY: "on the prompt, they are as on the partner",
    REMOVED: "on the prompt, they are 0",
}
PARTS: Final = {
    "stream": "residual stream",
    "features": "all features",
    "circuit": "the circuit's features",
    "by_chance": "random circuits' features",
}


def show(name: str, chosen: str) -> None:
    """Draw the tab.

    Parameters
    ----------
    name
        Profile.
    chosen
        Behaviour, or all.
    """
    groups = {group: readers.dataset(name, _DATASET, group) for group in BEHAVIOUR_INTERVENTIONS.groups}
    known = [str(each) for each in groups["curves"]["behaviour"].values]
    shown = known if chosen == data.ALL else [each for each in known if each == chosen]
    if not shown:
        st.info("Nothing was tried of this behaviour; `dvc repro` tries it.", icon=":material/search_off:")
        return
    filters = _filters(groups["trials"], shown)
    called = names.of_features(name)
    trials = data.trials_frame(groups["trials"], called, filters)
    cells = data.cells_frame(groups["cells"], groups["prompts"], trials, behaviours.prompts(name), filters)
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        effects.table(trials, groups["prompts"], filters)
        effects.before_after(cells)
    with right:
        effects.beside_controls(trials)
    _curves(groups["curves"], groups["circuits"], shown)
    left, right = st.columns(2, gap="medium")
    with left:
        _layers(data.layers_frame(groups["layers"], shown))
    with right:
        _importance(data.importance_frame(groups["importance"], called, filters, _IMPORTANT))


def _filters(trials: xr.Dataset, shown: list[str]) -> data.Filters:
    columns = st.columns([1.5, 0.8, 1, 0.8], vertical_alignment="bottom")
    experiment = columns[0].segmented_control(
        "Done to features",
        PARTNERED,
        default=ABLATION,
        required=True,
        **query.BEHAVIOUR_TRIED.bound(),
        help="\n".join(f"- **{each}**: {effects.DONE[each]}" for each in PARTNERED),
    )
    layers = sorted({int(layer) for layer in trials["layer"].values})
    layer = columns[1].selectbox(
        "Layer",
        [data.ALL, *(f"L{layer}" for layer in layers)],
        **query.BEHAVIOUR_LAYER.bound(),
        help="Of the features; 0-based.",
    )
    least = columns[2].slider(
        "Least effect",
        0.0,
        _LARGEST,
        step=0.1,
        **query.BEHAVIOUR_LEAST.bound(),
        help="Logits: smaller mean effects are left out.",
    )
    flips = columns[3].toggle(
        "Flips only",
        **query.BEHAVIOUR_FLIPS.bound(),
        help="Only what turns the sign: the wrong answer is preferred, where it was not.",
    )
    return data.Filters(
        behaviours=shown,
        experiment=str(experiment or ABLATION),
        layer=None if layer == data.ALL else int(str(layer).removeprefix("L")),
        least=float(least or 0.0),
        flips=bool(flips),
    )


def _curves(curves: xr.Dataset, circuits: xr.Dataset, shown: list[str]) -> None:
    st.markdown(
        "**How much does the circuit carry?**",
        help="F(k) of its first k features, held: a share of the difference of the contrast between prompt "
        "and partner, or, removed, of the contrast. Circuits are found on train prompts, F is of test "
        "prompts. Band: random circuits of the same layers and activity. Nulls: circuits of other "
        "behaviours, and one found with answers swapped.",
    )
    asked = st.segmented_control(
        "The circuit is",
        CIRCUIT_EXPERIMENTS,
        default=SUFFICIENT,
        required=True,
        **query.BEHAVIOUR_HELD.bound(),
        help="\n".join(f"- **{each}**: {HELD[each]}" for each in CIRCUIT_EXPERIMENTS),
    )
    held = str(asked or SUFFICIENT)
    columns = st.columns(min(len(shown), 2))
    for place, behaviour in enumerate(shown):
        with columns[place % len(columns)]:
            one = circuits.sel(behaviour=behaviour, experiment=held)
            frame, band = data.curves_frame(curves, behaviour, held)
            if frame.empty:
                st.caption(plain(f"{behaviour}: not known, for {one['reason'].item()}."))
                continue
            st.caption(plain(_area(behaviour, one)))
            orders = list(dict.fromkeys(frame["order"]))
            others = [each for each in orders if each != data.OWN]
            colours = dict(zip(others, MORE_COLOURS * len(others), strict=False)) | {data.OWN: ADAPTED}
            drawn = {order: colours[order] for order in orders}
            downloads.chart(
                faithfulness.curves(frame, band, drawn, reached=_REACHED),
                frame,
                f"circuit-{behaviour}",
                key=f"partnered-curves-{behaviour}",
                alt=f"{behaviour}: F(k) of its circuit, of null circuits, and the band of random ones.",
            )


def _area(behaviour: str, one: xr.Dataset) -> str:
    """A circuit's area in a sentence."""
    own = {
        name: float(one[name].sel(circuit=behaviour))
        for name in ("area", "area_low", "area_high", "p_random")
    }
    random, largest = (percent(float(one[name])) for name in ("area_random", "area_random_high"))
    return (
        f"{behaviour}: area {percent(own['area'])} {share_interval(own['area_low'], own['area_high'])}; "
        f"random circuits {random}, at most {largest} (p {number(own['p_random'])}). "
        f"{count(int(one['n_prompts']))} prompts of {count(int(one['n_groups']))} groups."
    )


def _layers(frame: pd.DataFrame) -> None:
    st.markdown(
        "**What carries the partner's effect?**",
        help="At the tokens that decide alone, one part of a layer, or of all layers, is as on the partner: "
        "which share of the change of the contrast does that give? With the residual stream in all layers it "
        "is all: the partner's logits.",
    )
    known = frame[frame["share"].notna()]
    if known.empty:
        st.caption("Not known: too few test prompts have a partner of equal length.")
        return
    known = known.assign(row=known["behaviour"] + ": " + known["part"].map(PARTS))
    downloads.chart(
        charts.layer_shares(known),
        known,
        "behaviour-layers",
        key="partnered-layers",
        alt=f"Shares of the partner's effect by part and layer, of {count(known['behaviour'].nunique())} "
        "behaviours.",
    )


def _importance(frame: pd.DataFrame) -> None:
    st.markdown(
        "**What goes with the contrast?**",
        help="Correlation over train prompts of a feature's largest activation with the contrast. It tells "
        "where a model does better, and not why.",
    )
    if frame.empty:
        st.caption("No feature is active in enough groups (behaviour_interventions.min_active).")
        return
    st.dataframe(
        frame,
        hide_index=True,
        key="partnered-importance",
        height=downloads.table_height(len(frame)),
        placeholder="—",
        column_order=["feature", "behaviour", "correlation", "q", "p", "activation", "n_groups", "effective"],
        column_config={
            "feature": st.column_config.TextColumn("feature", help="Layer and index, and its name."),
            "behaviour": st.column_config.TextColumn("on", help="On whose prompts."),
            "correlation": effects.number_column("correlation", "Pearson's, of activation and contrast."),
            "q": effects.number_column(
                "q", "False discovery rate (Benjamini-Hochberg), within the layer.", "%.2g"
            ),
            "p": effects.number_column(
                "p", "Student's, of as many prompts as they are worth by group.", "%.2g"
            ),
            "activation": effects.number_column("activation", "Mean size over prompts."),
            "n_groups": st.column_config.NumberColumn("groups", help="In which it is active."),
            "effective": effects.number_column("worth", "Prompts that are as good as independent."),
        },
    )
    downloads.downloads(frame, "behaviour-importance", key="partnered-importance-data")
