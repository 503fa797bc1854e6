"""By which features? The circuit of one behaviour, the same over its train prompts."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.charts import circuits as charts
from dashboard.data import circuits, names
from dashboard.data.partnered import Place
from dashboard.pages import FEATURES
from dashboard.shell import downloads, selection
from dashboard.style.text import count, feature_name, named, number, percent, plain
from dashboard.views.behaviours import circuit_prompts, filters
from dashboard.views.behaviours.circuit_prompts import DRAWN, LINES
from dashboard.widgets import chosen_feature, row_table
from store.schema.vocabulary import ALL

_ROWS: Final = 200
_NEIGHBOURS: Final = 10
_HEIGHT: Final = 388


def _number(title: str, words: str) -> Any:
    return st.column_config.NumberColumn(title, format="%.3g", help=words)


_COLUMNS: Final = {
    "called": st.column_config.TextColumn("feature", help="Layer and index, and its name where it has one."),
    "total_effect": _number(
        "total effect",
        "On the right answer's logit minus the wrong one's where they part, along all paths, logits: summed "
        "over positions, mean over groups of train prompts, 0 where inactive.",
    ),
    "direct": _number("direct", "The same, of the direct path alone."),
    "influence": _number("influence", "Signed share of what reaches this difference, along all paths."),
    "frequency": st.column_config.NumberColumn(
        "active in", format="percent", help="Share of the traced train prompts."
    ),
    "elsewhere": st.column_config.NumberColumn(
        "elsewhere", format="percent", help="Its mean frequency on the other behaviours' prompts."
    ),
    "specificity": _number("specificity", "|Total effect| times one minus its frequency elsewhere, logits."),
    "sign_agreement": st.column_config.NumberColumn(
        "same sign",
        format="percent",
        help="Of the groups where it does something, those with the mean's sign.",
    ),
    "q": _number(
        "q",
        "False discovery rate: is the total effect consistent over groups, by flips of their signs? Right "
        "and wrong exchanged would flip them.",
    ),
    "supernode": st.column_config.NumberColumn(
        "supernode", help="Features whose effects are alike, prompt by prompt, share a number."
    ),
    "activation": _number("activation", "The largest at any position, mean over prompts where it is active."),
}
_EDGES: Final = {
    "way": st.column_config.TextColumn("", help="Into the chosen feature, or out of it."),
    "other": st.column_config.TextColumn("feature", help="The other end."),
    "weight": _number(
        "weight", "Mean over groups of what it adds to the target's pre-activation, summed over positions."
    ),
    "frequency": st.column_config.NumberColumn(
        "in",
        format="percent",
        help="Share of train prompts in which the edge is among the target's strongest.",
    ),
    "virtual_weight": _number(
        "virtual weight", "W_enc of the target times W_dec of the source: whatever the prompt, without norms."
    ),
}


def show(name: str, variant: str, behaviour: str, split: str) -> None:
    """Graph, layers and table of a variant's circuit; of `all` behaviours the first one's.

    Parameters
    ----------
    name
        Profile.
    variant, behaviour, split
        Which the page's filters chose.
    """
    st.subheader("Circuit", anchor=False)
    summary = circuits.summary(name)
    own = summary[summary["variant"] == variant]
    if own.empty:
        traced = ", ".join(dict.fromkeys(summary["variant"])) or "no variant"
        st.info(f"Graphs are made of {plain(traced)}; choose one of these above.")
        return
    known = own["behaviour"].tolist()
    if behaviour not in (ALL, *known):
        st.info(f"No prompt of {plain(behaviour)} was traced.")
        return
    row = own[own["behaviour"] == (known[0] if behaviour == ALL else behaviour)].iloc[0]
    called = names.of_features(name)
    everything = circuits.features(name, variant)
    ends = zip(everything["layer"].tolist(), everything["index"].tolist(), strict=True)
    everything = everything.assign(called=[named(called, each) for each in ends])
    features = everything[everything["behaviour"] == row["behaviour"]].reset_index(drop=True)
    edges = circuits.edges(name, variant, row["behaviour"])
    _head(row, split)
    place = filters.choose(everything["layer"], features["supernode"])
    if filters.has("graph", split, "The circuit's features and edges are"):
        # Supernodes have numbers of their own in each circuit.
        beside = everything if behaviour == ALL and place.supernode is None else features
        _found(filters.of_circuit(features, place), features, edges, filters.of_circuit(beside, place), place)
    circuit_prompts.show(name, variant, row["behaviour"], split, place, features, called)
    chosen = selection.feature()
    if chosen is not None and split != filters.TEST:
        _inspected(edges, chosen, called)


def _found(
    features: pd.DataFrame, whole: pd.DataFrame, edges: pd.DataFrame, beside: pd.DataFrame, place: Place
) -> None:
    """Graph, layers and table of the features that are left of the whole circuit.

    `beside` are those of all circuits that are compared by layer.
    """
    if features.empty:
        st.caption("Nothing is left by the filters.")
        return
    behaviour = whole["behaviour"].iloc[0]
    drawn = features.groupby("layer").head(DRAWN)
    left, right = st.columns([3, 1])
    with left:
        filters.heading(
            "graph",
            "Which features answer, and through which?",
            f"Of each layer the first {DRAWN} features by |total effect|, of edges among them the first "
            f"{LINES}.",
        )
        inside = filters.among(edges, features)
        downloads.chart(
            charts.graph(drawn, filters.among(inside, drawn).head(LINES)),
            inside,
            f"circuit-{behaviour}",
            key="circuit-graph",
            alt=f"{behaviour}: {count(len(drawn))} features by layer, coloured by which answer they "
            "are for, with edges between them; the table below has the numbers",
        )
    with right:
        filters.heading("layers", "In which layers?", "Sums of |total effect| by layer.")
        downloads.chart(
            charts.layers(beside),
            beside[["behaviour", "layer", "total_effect"]],
            "circuit-layers",
            key="circuit-layers",
            alt="Sum of the sizes of total effects by layer and behaviour",
        )
    _table(features, f"circuit-{behaviour}-{place}", len(whole))
    downloads.downloads(features, f"circuit-{behaviour}", key="circuit")


def _head(row: pd.Series, split: str) -> None:
    """What was found on train prompts, and what the planted tokens do on test prompts."""
    fails = "" if row["passes"] else " ✗ The variant fails it, so that its circuit says little."
    on_train = (
        f"{row['behaviour']}: {count(row['n_features'])} features are active in enough of "
        f"{count(row['n_train'])} train prompts of {count(row['n_groups'])} groups; of "
        f"{count(row['n_found'])} the effect is consistent."
    )
    on_test = (
        f"On {percent(row['planted_leads'])} of {count(row['n_planted'])} test prompts that base gets right "
        "the tokens that decide push toward the right answer, and more than those that could mislead (the "
        f"right sign alone: {percent(row['planted_sign'])})."
    )
    ranks = (
        "Rank correlation with total effects on train prompts: activation times |gradient| "
        f"{number(row['gradient_rank'])}, its right-minus-wrong form {number(row['gradient_contrast_rank'])}."
    )
    st.markdown(plain(f"{on_train if split != filters.TEST else row['behaviour'] + '.'}{fails}"))
    said = [on_test] * (split != filters.TRAIN) + [ranks] * (split != filters.TEST)
    st.caption(
        " ".join(said),
        help="Decisive: the noun, the country, the reason, the digits of the column and of the one that "
        "carries. Misleading: a noun of the other number, the other digits.",
    )


def _table(features: pd.DataFrame, key: str, found: int) -> None:
    """Another filter is another table: a selected row number would mean another feature."""
    shown = features.head(_ROWS)

    row_table.show(
        shown,
        key=key,
        height=_HEIGHT,
        choose=chosen_feature.choose,
        order=list(_COLUMNS),
        columns=_COLUMNS,
    )
    st.caption(
        f"{count(len(shown))} of {count(found)} features, the largest total effect first. A row's box shows "
        "the feature's neighbours.",
        help=filters.PANELS["features"].rule,
    )


def _inspected(edges: pd.DataFrame, chosen: tuple[int, int], called: Mapping[tuple[int, int], str]) -> None:
    """The chosen feature's neighbours, and the way to its card."""
    with st.container(border=True):
        filters.heading(
            "neighbours",
            plain(named(called, chosen)),
            "The strongest edges of the chosen feature in this circuit.",
        )
        near = _neighbours(edges, chosen, called)
        if near.empty:
            st.caption(f"{feature_name(*chosen)} has no edge in this circuit.")
        else:
            st.dataframe(
                near,
                hide_index=True,
                key="circuit-neighbours",
                height=downloads.table_height(len(near)),
                placeholder="—",
                column_order=list(_EDGES),
                column_config=_EDGES,
            )
            downloads.downloads(near, "circuit-neighbours", key="circuit-neighbours")
        if st.button("Card of this feature", key="circuit-card", icon=":material/badge:"):
            selection.go(FEATURES)


def _neighbours(
    edges: pd.DataFrame, chosen: tuple[int, int], called: Mapping[tuple[int, int], str]
) -> pd.DataFrame:
    """The strongest edges into a feature and out of it."""
    parts = []
    for way, here, there in (("from", "target", "source"), ("to", "source", "target")):
        mine = (edges[f"{here}_layer"] == chosen[0]) & (edges[f"{here}_index"] == chosen[1])
        part = edges[mine].head(_NEIGHBOURS)
        ends = zip(part[f"{there}_layer"].tolist(), part[f"{there}_index"].tolist(), strict=True)
        parts.append(part.assign(way=way, other=[named(called, each) for each in ends]))
    return pd.concat(parts, ignore_index=True)
