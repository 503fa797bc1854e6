"""By which circuit? Interventions along partners, F(k), and what carries a partner's effect."""

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.charts import faithfulness
from dashboard.charts import partnered as charts
from dashboard.data import behaviours, circuits, names, readers
from dashboard.data import partnered as data
from dashboard.shell import downloads, query, selection
from dashboard.style.text import count, number, percent, plain, share_interval
from dashboard.style.theme import ADAPTED, MORE_COLOURS
from dashboard.views.behaviours import effects, filters
from store.base.errors import ArtifactMissingError
from store.documents.variants import BASE
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


def show(name: str, chosen: str, split: str, prompt: str) -> None:
    """Draw the tab.

    Parameters
    ----------
    name
        Profile.
    chosen, split
        Behaviour and prompts, or all.
    prompt
        Hash of the selected one; empty: none.
    """
    groups = {group: readers.dataset(name, _DATASET, group) for group in BEHAVIOUR_INTERVENTIONS.groups}
    known = [str(each) for each in groups["curves"]["behaviour"].values]
    shown = known if chosen == data.ALL else [each for each in known if each == chosen]
    if not shown:
        st.info("Nothing was tried of this behaviour; `dvc repro` tries it.", icon=":material/search_off:")
        return
    chosen_ones = _filters(groups["trials"], shown, _supernodes(name), prompt)
    important = data.importance_frame(groups["importance"], names.of_features(name), chosen_ones, _IMPORTANT)
    everywhere = data.Filters(behaviours=shown, experiment=chosen_ones.experiment)
    tested = len(important) or len(data.importance_frame(groups["importance"], {}, everywhere, 1))
    if not filters.has("trials", split, "Interventions and F(k) are"):
        _importance(important, split, tested=bool(tested))
        return
    _measured(name, groups, shown, chosen_ones)
    left, right = st.columns(2, gap="medium")
    with left:
        _layers(data.layers_frame(groups["layers"], chosen_ones))
    with right:
        _importance(important, split, tested=bool(tested))


def _measured(
    name: str, groups: Mapping[str, xr.Dataset], shown: Sequence[str], chosen: data.Filters
) -> None:
    """What is of test prompts."""
    called = names.of_features(name)
    trials = data.trials_frame(groups["trials"], called, chosen)
    cells = data.cells_frame(groups["cells"], groups["prompts"], trials, behaviours.prompts(name), chosen)
    left, right = st.columns([1.25, 1], gap="medium")
    with left:
        effects.table(trials, groups["prompts"], chosen)
        effects.before_after(cells)
    with right:
        effects.beside_controls(trials)
    left, right = st.columns(2, gap="medium")
    with left:
        effects.by_prompt(cells)
    with right:
        effects.by_experiment(data.every_experiment(groups["trials"], called, chosen))
    _curves(groups["curves"], groups["circuits"], shown)


def _supernodes(name: str) -> dict[tuple[str, int, int], int]:
    """Of features by behaviour, layer and index, in base's circuits; none where there are no circuits."""
    try:
        frame = circuits.features(name, BASE)
    except ArtifactMissingError:
        return {}
    columns = (frame[each].tolist() for each in ("behaviour", "layer", "index", "supernode"))
    return {(behaviour, layer, index): of for behaviour, layer, index, of in zip(*columns, strict=True)}


def _filters(
    trials: xr.Dataset, shown: list[str], supernodes: dict[tuple[str, int, int], int], prompt: str
) -> data.Filters:
    experiment = st.segmented_control(
        "Done to features",
        PARTNERED,
        default=ABLATION,
        required=True,
        **query.BEHAVIOUR_TRIED.bound(),
        help="\n".join(f"- **{each}**: {effects.DONE[each]}" for each in PARTNERED),
    )
    numbers = [of for (behaviour, _, _), of in supernodes.items() if behaviour in shown]
    place = filters.choose((int(layer) for layer in trials["layer"].values), numbers)
    feature = selection.feature()
    columns = st.columns(3)
    flips = columns[0].toggle(
        "Flips only",
        **query.BEHAVIOUR_FLIPS.bound(),
        help="Only what turns the sign: the wrong answer is preferred, where it was not.",
    )
    one_prompt = columns[1].toggle(
        "This prompt only",
        **query.BEHAVIOUR_ONE_PROMPT.bound(),
        disabled=not prompt,
        help="Prompt by prompt: the one that is chosen under Answers or Circuit alone. Tests are over all "
        "of them.",
    )
    one_feature = columns[2].toggle(
        "This feature only",
        **query.BEHAVIOUR_ONE_FEATURE.bound(),
        disabled=feature is None,
        help="The chosen feature alone; a row's box chooses one.",
    )
    return data.Filters(
        behaviours=shown,
        experiment=str(experiment or ABLATION),
        place=place,
        supernodes=supernodes,
        flips=bool(flips),
        prompt=prompt if one_prompt and prompt else None,
        feature=feature if one_feature else None,
    )


def _curves(curves: xr.Dataset, circuits: xr.Dataset, shown: Sequence[str]) -> None:
    filters.heading(
        "curves",
        "How much does the circuit carry?",
        "F(k) of its first k features, held: a share of the difference of the contrast between prompt "
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
    filters.heading(
        "parts",
        "What carries the partner's effect?",
        "At the tokens that decide alone, one part of a layer, or of all layers, is as on the partner: "
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


def _importance(frame: pd.DataFrame, split: str, *, tested: bool) -> None:
    """Draw the table; `tested` is whether any feature was, whatever the filters leave."""
    filters.heading(
        "importance",
        "What goes with the contrast?",
        "Correlation of a feature's largest activation with the contrast. It tells where a model does "
        "better, and not why.",
    )
    if not filters.has("importance", split, "Correlations are"):
        return
    if frame.empty:
        st.caption(
            "Nothing is left by the filters."
            if tested
            else "No feature is active in enough groups (behaviour_interventions.min_active)."
        )
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
                "q",
                "False discovery rate (Benjamini-Hochberg), of all tested features on the behaviour.",
                "%.2g",
            ),
            "p": effects.number_column(
                "p",
                "Student's, of as many prompts as they are worth by group; of few groups, sign flips of all.",
                "%.2g",
            ),
            "activation": effects.number_column("activation", "Mean size over prompts."),
            "n_groups": st.column_config.NumberColumn("groups", help="In which it is active."),
            "effective": effects.number_column("worth", "Prompts that are as good as independent."),
        },
    )
    downloads.downloads(frame, "behaviour-importance", key="partnered-importance-data")
