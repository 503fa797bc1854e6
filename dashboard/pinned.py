"""Pinned nodes: a subgraph with its replacement and completeness, and links to cards."""

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import graphs, state
from dashboard.components import graph as component
from dashboard.text import feature_name, number, plain
from store.graphs import GraphView

KEY: Final = "graph"
"""Key of the graph component."""


def take() -> None:
    """Take over what the graph component reports as pinned."""
    state.choose_pins(component.pinned(KEY))


def _unpin() -> None:
    state.choose_pins([])


def show(views: list[GraphView], words: graphs.Words) -> None:
    """The pinned subgraph: its scores in each graph, its nodes, and their cards."""
    pins = state.pins()
    if not pins:
        return
    st.markdown(f"**Pinned: {len(pins)} nodes**")
    columns = st.columns([1] * len(views) + [1])
    rows = []
    for column, view in zip(columns, views, strict=False):
        ids = np.array(graphs.node_ids(view.nodes))
        mask = np.isin(ids, pins)
        replacement, completeness = view.scores(mask)
        column.markdown(
            f"{plain(view.variant)}: replacement **{number(replacement)}** "
            f"(all: {number(view.replacement_score)}), completeness **{number(completeness)}** "
            f"(all: {number(view.completeness_score)})",
            help="With only the pinned features as explanation (others count as error). Replacement: "
            "token influence / (token + error influence). Completeness: influence-weighted share "
            "of inputs that are no errors.",
        )
        for row in np.flatnonzero(mask):
            node = view.nodes.iloc[row]
            rows.append(
                {
                    "node": graphs.node_label(
                        str(node["kind"]),
                        int(node["layer"]),
                        int(node["position"]),
                        int(node["feature"]),
                        words,
                    ),
                    "variant": view.variant,
                    "influence": float(node["influence"]),
                    "value": float(node["value"]),
                    "id": str(ids[row]),
                }
            )
    columns[-1].button("Unpin all", icon=":material/keep_off:", key="unpin", on_click=_unpin)
    if not rows:
        st.caption("None of the pinned nodes is in these graphs.")
        return
    frame = pd.DataFrame(rows)
    st.dataframe(
        frame,
        hide_index=True,
        key="pinned-table",
        column_order=["node", "variant", "influence", "value"],
        column_config={
            "node": st.column_config.TextColumn("node", help="Node of the graph."),
            "variant": st.column_config.TextColumn("variant", help="Which weights."),
            "influence": st.column_config.NumberColumn(
                "influence",
                format="%.3g",
                help="Unsigned influence on the probability-weighted logits (dimensionless).",
            ),
            "value": st.column_config.NumberColumn(
                "value", format="%.3g", help="Activation of a feature, probability of a logit."
            ),
        },
    )
    _pin_links(pins)


def _pin_links(pins: tuple[str, ...]) -> None:
    features: dict[str, tuple[int, int]] = {}
    for pin in pins:
        if pin.startswith("F"):
            layer, index = (int(part) for part in pin[1:].split(".")[:2])
            features[feature_name(layer, index)] = (layer, index)
    if not features:
        return
    with st.container(horizontal=True, gap="small"):
        for label, (layer, index) in list(features.items())[:8]:
            if st.button(f"Card of {label}", key=f"card-{label}", icon=":material/badge:"):
                state.choose_feature(layer, index)
                st.switch_page("views/features.py")
