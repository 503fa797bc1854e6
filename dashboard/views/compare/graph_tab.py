"""The attribution graphs of a case: drawn, pruned live, pinned, taken away."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.data import documents, names, readers
from dashboard.data.case import Case
from dashboard.graph import difference as differences
from dashboard.graph import export, panels, pruned
from dashboard.graph.component import graph as component
from dashboard.graph.score_tables import LIMIT, contrasts
from dashboard.live import models
from dashboard.shell import downloads, query, selection, url
from dashboard.shell.guard import guard
from dashboard.style.node_names import Words
from dashboard.style.text import plain
from dashboard.style.theme import LABEL_GLYPHS, NODE_GLYPHS
from dashboard.views.compare import pinned
from dashboard.widgets import feature_in_graph
from pipeline.analysis.node_ids import node_ids
from pipeline.analysis.null_changes import NullChanges
from store.base.errors import NotInStoreError, StoreError
from store.documents.variants import BASE
from store.views.graph import GraphView


@st.fragment
def show(case: Case) -> None:
    """Draw a case's graphs with their controls."""
    if not case.views:
        return
    with guard("The vocabulary: what each token id reads as."):
        _explore(case, words_of(case))


def words_of(case: Case) -> Words:
    """What a case's nodes are written with."""
    return Words(
        tokens=case.prompt.tokens,
        vocabulary=documents.vocabulary(case.profile),
        labels=case.labels,
        names=names.of_features(case.profile),
    )


def _default(case: Case, parameter: str) -> float:
    """A threshold of ``params.yaml``: as the graphs were made with it, which they say themselves."""
    if case.live:
        return float(getattr(models.params().graphs, parameter))
    return float(readers.provenance(case.profile, "graphs")["parameters"]["graphs"][parameter])


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the controls ask for."""

    mode: str
    adapters: bool
    node_threshold: float
    edge_threshold: float


def _controls(case: Case) -> _Asked:
    columns = st.columns([1.25, 1, 1, 1], vertical_alignment="bottom")
    modes = ["Both", "Difference"] if len(case.views) == 2 else ["Both"]
    mode = columns[0].segmented_control(
        "Show",
        modes,
        default="Both",
        required=True,
        **query.SHOW.bound(),
        help="Both: each variant's graph, on one layout. Difference: one graph; colour and shape say in "
        "which variants a feature is active, size and width how much changes from A to B.",
    )
    adapters = columns[1].toggle(
        "Adapter nodes",
        value=True,
        **query.ADAPTERS.bound(),
        disabled=not any(map(_has_adapters, case.views)),
        help="What LoRA adds to an MLP's output, as nodes in a row of their own. circuit-tracer's error "
        "nodes contain it; here they hold only the rest. Base has none; adapters on attention are under "
        "“What does the adapter write to?”.",
    )
    node_threshold = columns[2].slider(
        "Node influence kept",
        0.1,
        1.0,
        value=_default(case, "node_threshold"),
        step=0.01,
        **query.NODES.bound(),
        help="Share of all influence that the shown nodes hold together (circuit-tracer's "
        "node_threshold). Pruned live from the stored graph.",
    )
    edge_threshold = columns[3].slider(
        "Edge score kept",
        0.1,
        1.0,
        value=_default(case, "edge_threshold"),
        step=0.01,
        **query.EDGES.bound(),
        help="Share of the edge scores among the shown nodes (circuit-tracer's edge_threshold).",
    )
    return _Asked(
        mode=str(mode),
        adapters=bool(adapters),
        node_threshold=float(node_threshold),
        edge_threshold=float(edge_threshold),
    )


def _has_adapters(view: GraphView) -> bool:
    try:
        return len(view.adapters) > 0
    except NotInStoreError:
        return False


def _explore(case: Case, words: Words) -> None:
    above = st.container()
    asked = _controls(case)
    colours = readers.colours(case.profile)
    views = case.views
    scored = contrasts(views[-1], words)
    sides = [
        pruned.prune(
            view,
            colours[view.variant],
            node_threshold=asked.node_threshold,
            edge_threshold=asked.edge_threshold,
            adapters=asked.adapters and _has_adapters(view),
            asked=scored.first(1 + LIMIT),
        )
        for view in views
    ]
    with above:
        feature_in_graph.say(views, _drawn(sides))
    n_layers = max(int(view.item.scalars["n_layers"]) for view in views)
    pins = selection.pins()
    difference = asked.mode == "Difference" and len(sides) == 2
    if difference:
        nulls = _nulls(case.profile) if BASE in (side.variant for side in sides) else None
        drawn = differences.difference(sides[0], sides[1], words, n_layers=n_layers, pins=pins, nulls=nulls)
    else:
        drawn = panels.side_by_side(
            sides[0], sides[1] if len(sides) == 2 else None, words, n_layers=n_layers, pins=pins
        )
    component.draw(drawn, key=pinned.KEY, on_pins=pinned.take)
    st.caption(_legend(sides, difference))
    with guard("The pinned nodes."):
        pinned.show(views, words, scored)
    _take_away(case, sides, words, asked)
    url.write()


def _nulls(name: str) -> NullChanges | None:
    """What random adapters change of graphs; None where none was traced."""
    try:
        found = NullChanges.of(readers.dataset(name, "features", "null_changes"))
    except StoreError:
        return None
    return None if all(np.isnan(size).all() for size in found.size.values()) else found


def _drawn(sides: list[pruned.Side]) -> set[str]:
    """Ids of the nodes that are drawn on some side."""
    return {name for side in sides for name in node_ids(side.nodes.iloc[side.kept_nodes])}


def _take_away(case: Case, sides: list[pruned.Side], words: Words, asked: _Asked) -> None:
    nodes = pd.concat(
        [
            side.nodes.iloc[side.kept_nodes].assign(
                variant=side.variant, id=np.array(node_ids(side.nodes))[side.kept_nodes]
            )
            for side in sides
        ]
    )
    with st.popover("Take away", icon=":material/download:", type="tertiary"):
        st.caption("The shown nodes of both graphs as a table.")
        downloads.downloads(nodes, f"graph-{case.prompt.hash}", key="graph-nodes")
        st.caption("A pruned graph for circuit-tracer's frontend (its JSON, pins included).")
        for number_of, view in enumerate(case.views):
            st.download_button(
                f"JSON, {plain(view.variant)}",
                data=partial(
                    export.frontend_json,
                    view,
                    words,
                    prompt=case.prompt.text,
                    scan=_scan(case.profile),
                    node_threshold=asked.node_threshold,
                    edge_threshold=asked.edge_threshold,
                    pinned=list(selection.pins()),
                ),
                file_name=f"{case.prompt.hash}-{view.variant.replace('@', '-')}.json",
                mime="application/json",
                key=f"json-{number_of}",
                on_click="ignore",
                icon=":material/hub:",
                help="Put it into a folder of graph files and serve it with circuit-tracer.",
            )


def _scan(name: str) -> str:
    """What circuit-tracer looks features up by: the transcoders' source."""
    try:
        return documents.models(name).transcoders.source
    except StoreError:
        return ""


def _legend(sides: list[pruned.Side], difference: bool) -> str:
    """What marks mean: shapes the same in both modes, sizes and edges each its own."""
    glyph = NODE_GLYPHS
    text = "Size: influence." if not difference else "Size: change of influence, of logits of probability."
    if len(sides) == 2:
        left, right = (plain(side.variant) for side in sides)
        text += (
            f" {glyph['feature']} feature active in both, {glyph['A only']} in {left} only, "
            f"{glyph['B only']} in {right} only, both in the variant's colour; "
        )
    else:
        text += f" {glyph['feature']} feature; "
    text += f"{glyph['error']} error; {glyph['token']} token; "
    if any(side.n_adapters for side in sides):
        text += f"{glyph['adapter']} adapter; "
    labels = ", ".join(f"{shape} {label}" for label, shape in LABEL_GLYPHS.items())
    text += f"top row: logits by label, {labels}. "
    if difference:
        return text + (
            "What is only pruned on a side counts as active there. Edges: width by change of weight, magenta "
            "more, dashed green less; an edge that one side does not store counts as 0 there. Random "
            "adapters: their changes on all prompts that were traced with them."
        )
    return text + "Edges: magenta positive, dashed green negative."
