"""Pinned nodes: a subgraph with its replacement and completeness, and links to cards."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.graph.component import graph as component
from dashboard.shell import downloads, query, selection
from dashboard.style.node_names import Words, node_label, node_labels
from dashboard.style.score_names import NODE_SCORES
from dashboard.style.text import named, number, plain
from dashboard.widgets import chosen_feature
from pipeline.analysis.node_ids import node_ids
from pipeline.analysis.node_scores import TargetContrasts, node_scores
from pipeline.analysis.stored_graph import stored_scores
from store.base.errors import NotInStoreError
from store.views.graph import GraphView

KEY: Final = "graph"
"""Key of the graph component."""


def take() -> None:
    """Take over what the graph component reports as pinned."""
    selection.choose_pins(component.pinned(KEY))


def _unpin() -> None:
    selection.choose_pins([])


def show(views: list[GraphView], words: Words, scored: TargetContrasts) -> None:
    """The pinned subgraph: its scores in each graph, its nodes, and their cards.

    Parameters
    ----------
    views
        Graphs of the pair.
    words
        What nodes are written with.
    scored
        What nodes' scores can be read on.
    """
    pins = selection.pins()
    if not pins:
        return
    columns = st.columns([0.9, *[1.6] * len(views), 1.3], vertical_alignment="center")
    columns[0].markdown(f"**Pinned: {len(pins)} nodes**")
    for column, view in zip(columns[1:], views, strict=False):
        replacement, completeness = stored_scores(view, np.isin(node_ids(view.nodes), pins))
        column.markdown(
            f"{plain(view.variant)}: replacement **{number(replacement)}** "
            f"(all: {number(view.replacement_score)}), completeness **{number(completeness)}** "
            f"(all: {number(view.completeness_score)})",
            help="With only the pinned features as explanation (others count as error). Replacement: "
            "token influence / (token + error influence). Completeness: influence-weighted share "
            "of inputs that are no errors.",
        )
    name = columns[-1].selectbox(
        "Scores on",
        scored.names,
        **query.SCORED.bound(),
        help="What the table's scores are read on: the mean over evil minus the mean over safe candidates, "
        "or one candidate's centred logit.",
    )
    one = scored.only(str(name))
    frame = pinned_frame(views, pins, words, one)
    if frame.empty:
        st.caption("None of the pinned nodes is in these graphs.")
    else:
        st.dataframe(frame, hide_index=True, key="pinned-table", column_config=_COLUMNS)
    with st.container(horizontal=True, gap="small"):
        _pin_links(pins, words)
        st.button("Unpin all", icon=":material/keep_off:", key="unpin", on_click=_unpin, type="tertiary")
        downloads.downloads(frame, f"pinned-{views[0].prompt_hash}", key="pinned")


_COLUMNS: Final = {
    "node": st.column_config.TextColumn("node", help="Node of the graph."),
    "variant": st.column_config.TextColumn("variant", help="Which weights."),
    "here": st.column_config.TextColumn(
        "here",
        help="in the graph: a node of the stored graph. inactive: the transcoder does not fire there. "
        "active, not stored: it fires, but has too little influence for the artifact. no adapter: base.",
    ),
    "node_influence": st.column_config.NumberColumn(
        "node influence",
        format="%.3g",
        help="Unsigned influence on the probability-weighted logits (dimensionless): the node's size.",
    ),
    "value": st.column_config.NumberColumn(
        "value", format="%.3g", help="Activation of a feature, probability of a logit."
    ),
    **{
        name: st.column_config.NumberColumn(name, format="%.3g", help=meaning)
        for name, meaning in NODE_SCORES.items()
    },
}


def pinned_frame(
    views: list[GraphView], pins: Sequence[str], words: Words, one: TargetContrasts
) -> pd.DataFrame:
    """Pinned nodes in every graph, also where they are inactive or not stored.

    Parameters
    ----------
    views, pins
        Graphs, and ids as `node_ids` makes them.
    words
        What nodes are written with.
    one
        The one contrast that scores are read on.

    Returns
    -------
    pd.DataFrame
        Columns node, variant, here, node_influence, value, and `NODE_SCORES`; a row a pin and
        graph, by pin.
    """
    tables = [_nodes_of(view, one) for view in views]
    labels = {
        name: label
        for table in tables
        for name, label in zip(table.index, node_labels(table, words), strict=True)
    }
    rows = []
    for pin in pins:
        if pin not in labels and pin.startswith("F"):
            layer, feature, position = _feature_of(pin)
            if position < len(words.tokens):
                labels[pin] = node_label("feature", layer, position, feature, words)
        if pin not in labels:
            continue
        for view, table in zip(views, tables, strict=True):
            found = table.loc[pin].to_dict() if pin in table.index else _elsewhere(view, pin)
            rows.append({"node": labels[pin], "variant": view.variant, **found})
    columns = ["node", "variant", "here", "node_influence", "value", *NODE_SCORES]
    return pd.DataFrame(rows, columns=columns)


def _nodes_of(view: GraphView, one: TargetContrasts) -> pd.DataFrame:
    """A graph's nodes and adapter nodes by id, with their scores."""
    nodes = view.nodes.assign(kind=view.nodes["kind"].astype(str), part="")
    try:
        adapters = view.adapters.assign(part=view.adapters["part"].astype(str), kind="adapter", value=np.nan)
        nodes = pd.concat([nodes, adapters.rename(columns={"component": "feature"})], ignore_index=True)
    except NotInStoreError:
        pass  # an artifact that knew no adapter nodes
    scores = node_scores(view, one)[:, 0]
    named = {name: scores[:, place] for place, name in enumerate(NODE_SCORES)}
    renamed = nodes.rename(columns={"influence": "node_influence"})
    return renamed.assign(here="in the graph", **named).set_index(pd.Index(node_ids(nodes)))


def _elsewhere(view: GraphView, pin: str) -> dict[str, Any]:
    """What is known of a node that a graph does not store."""
    if pin.startswith("A"):
        return {"here": "no adapter"}
    if not pin.startswith("F"):
        return {"here": "not stored"}
    layer, feature, position = _feature_of(pin)
    active = view.active
    found = active[
        (active["layer"] == layer) & (active["feature"] == feature) & (active["position"] == position)
    ]
    if found.empty:
        return {"here": "inactive", "value": 0.0, "node_influence": 0.0, **dict.fromkeys(NODE_SCORES, 0.0)}
    return {"here": "active, not stored", "value": float(found["value"].iloc[0])}


def _feature_of(pin: str) -> tuple[int, int, int]:
    """Layer, index and position of a feature node's id."""
    layer, feature, position = (int(part) for part in pin[1:].split("."))
    return layer, feature, position


def _pin_links(pins: tuple[str, ...], words: Words) -> None:
    features = dict.fromkeys(_feature_of(pin)[:2] for pin in pins if pin.startswith("F"))
    for layer, index in list(features)[:8]:
        called = named(words.names, (layer, index))
        chosen_feature.card_button((layer, index), called, key=f"card-{layer}.{index}")
