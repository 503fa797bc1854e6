"""Compare: what an adapter changes on one prompt."""

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, differences, export, graphs, panels, pinned, state, takeaway
from dashboard.charts import candidates as candidate_chart
from dashboard.compare import candidate_frame, largest
from dashboard.components import graph as component
from dashboard.frame import head, profile, prompt, variants
from dashboard.guard import guard
from dashboard.text import plain, sentence, token_chips
from dashboard.theme import LABEL_GLYPHS
from store.errors import NotInStoreError, StoreError
from store.graphs import GraphView
from store.prompts import Prompt


def _labels(name: str, chosen: Prompt) -> dict[int, str]:
    try:
        return data.token_labels(name, chosen.domain)
    except StoreError:
        return {}


def _targets(name: str, chosen: Prompt, variant: str) -> pd.DataFrame:
    """Probabilities of all targets; the own candidates, or nothing, where no graph was traced."""
    try:
        return data.graph(name, chosen.hash, variant).targets[["token", "probability"]]
    except StoreError:
        pass
    try:
        return data.candidates(name, chosen.hash, variant)
    except NotInStoreError:
        return pd.DataFrame({"token": pd.Series(dtype=int), "probability": pd.Series(dtype=float)})


def _say_untraced(name: str, chosen: Prompt, pair: tuple[str, str]) -> None:
    """Say once which of the pair this prompt was not traced with, and the way out."""
    traced = data.traced(name, chosen.hash)
    absent = [variant for variant in dict.fromkeys(pair) if variant not in traced]
    if not absent:
        return
    focus = f"{data.models(name).get('focus')}@1.0"
    if set(absent) <= {"base", focus}:
        way_out = "`dvc repro` traces every prompt of the prompt files with them."
    else:
        way_out = (
            f"Tag it `every-variant` in its prompt file, {chosen.source} (the tag is "
            "`graphs.every_variant_tag` of params.yaml), and run `dvc repro`; or choose a prompt that "
            "the sidebar does not mark."
        )
    with_what = f"with {' and '.join(traced)} only" if traced else "with no variant"
    st.info(
        sentence(
            f"This prompt is traced {with_what}; the store holds no variant {' or '.join(absent)} of it. "
            f"{way_out}"
        ),
        icon=":material/search_off:",
    )


def _show_prompt(chosen: Prompt) -> None:
    left, right = st.columns([8, 1], vertical_alignment="center")
    left.html(f'<div style="line-height:1.75;font-family:monospace">{token_chips(chosen.tokens)}</div>')
    with right.popover("Text", icon=":material/content_copy:", type="tertiary"):
        st.caption("The prompt as it is.")
        st.code(chosen.text, language=None, wrap_lines=True)
        st.caption(plain(f"hash {chosen.hash}, {len(chosen.token_ids)} tokens, from {chosen.source}"))


def _graph_views(name: str, chosen: Prompt, pair: tuple[str, str]) -> list[GraphView]:
    """Graphs of the pair; a side that was not traced is left out."""
    views = []
    with guard("The attribution graphs of both variants on one layout, with hover, pins and live pruning."):
        traced = data.traced(name, chosen.hash)
        for variant in dict.fromkeys(pair):
            if variant in traced:
                with guard("One attribution graph."):
                    views.append(data.graph(name, chosen.hash, variant))
    return views


def _default(name: str, parameter: str) -> float:
    """A threshold of ``params.yaml`` as the graphs were made with it (they say so themselves)."""
    return float(data.provenance(name, "graphs")["parameters"]["graphs"][parameter])


def _scan(name: str) -> str:
    """What circuit-tracer looks features up by: the transcoders' source."""
    try:
        return str(data.models(name).get("transcoders", {}).get("source", ""))
    except StoreError:
        return ""


@st.fragment
def _graphs(name: str, chosen: Prompt, pair: tuple[str, str], labels: dict[int, str]) -> None:
    views = _graph_views(name, chosen, pair)
    if not views:
        return
    with guard("The vocabulary: what each token id reads as."):
        words = graphs.Words(tokens=chosen.tokens, vocabulary=data.vocabulary(name), labels=labels)
        _explore(name, chosen, pair, views, words)


def _explore(
    name: str,
    chosen: Prompt,
    pair: tuple[str, str],
    views: list[GraphView],
    words: graphs.Words,
) -> None:
    controls = st.columns([1.3, 1, 1], vertical_alignment="bottom")
    modes = ["Both", "Difference"] if len(views) == 2 else ["Both"]
    mode = controls[0].segmented_control(
        "Show",
        modes,
        default="Both",
        required=True,
        key="show",
        bind="query-params",
        help="Both: each variant's graph, on one layout. Difference: one graph, nodes sized and "
        "coloured by the change of influence from A to B.",
    )
    node_threshold = controls[1].slider(
        "Node influence kept",
        0.1,
        1.0,
        value=_default(name, "node_threshold"),
        step=0.01,
        key="nodes",
        bind="query-params",
        help="Share of all influence that the shown nodes hold together (circuit-tracer's "
        "node_threshold). Pruned live from the stored graph.",
    )
    edge_threshold = controls[2].slider(
        "Edge score kept",
        0.1,
        1.0,
        value=_default(name, "edge_threshold"),
        step=0.01,
        key="edges",
        bind="query-params",
        help="Share of the edge scores among the shown nodes (circuit-tracer's edge_threshold).",
    )
    colours = data.colours(name)
    sides = [
        graphs.prune(
            view, colours[view.variant], node_threshold=node_threshold, edge_threshold=edge_threshold
        )
        for view in views
    ]
    n_layers = max(int(view.item.scalars["n_layers"]) for view in views)
    pins = state.pins()
    if mode == "Difference" and len(sides) == 2:
        drawn = differences.difference(sides[0], sides[1], words, n_layers=n_layers, pins=pins)
    else:
        drawn = panels.side_by_side(
            sides[0], sides[1] if len(sides) == 2 else None, words, n_layers=n_layers, pins=pins
        )
    component.draw(drawn, key=pinned.KEY, on_pins=pinned.take)
    _legend(pair, mode == "Difference")
    with guard("The pinned nodes."):
        pinned.show(views, words)
    nodes = pd.concat(
        [
            side.nodes.iloc[side.kept_nodes].assign(
                variant=side.variant, id=np.array(graphs.node_ids(side.nodes))[side.kept_nodes]
            )
            for side in sides
        ]
    )
    with st.popover("Take away", icon=":material/download:", type="tertiary"):
        st.caption("The shown nodes of both graphs as a table.")
        takeaway.downloads(nodes, f"graph-{chosen.hash}", key="graph-nodes")
        st.caption("A pruned graph for circuit-tracer's frontend (its JSON, pins included).")
        for number_of, view in enumerate(views):
            st.download_button(
                f"JSON, {plain(view.variant)}",
                data=partial(
                    export.frontend_json,
                    view,
                    words,
                    prompt=chosen.text,
                    scan=_scan(name),
                    node_threshold=node_threshold,
                    edge_threshold=edge_threshold,
                    pinned=list(pins),
                ),
                file_name=f"{chosen.hash}-{view.variant.replace('@', '-')}.json",
                mime="application/json",
                key=f"json-{number_of}",
                on_click="ignore",
                icon=":material/hub:",
                help="Put it into a folder of graph files and serve it with circuit-tracer.",
            )
    state.write_url()


def _legend(pair: tuple[str, str], difference: bool) -> None:
    if difference:
        text = (
            "Size: change of influence; of logits (top row): change of probability. Magenta: more in B, "
            "green: less. "
            f"■ inactive in {plain(pair[0])}, ▲ inactive in {plain(pair[1])}. "
            "Edges: change of weight; dashed green is negative; an edge that one side does not store "
            "counts as 0 there."
        )
    else:
        text = (
            "Size: influence. ● feature, active in both; ■ in the variant's colour: inactive in the "
            "other; ◇ error; ▬ token; top row: logits by label "
            f"({LABEL_GLYPHS['evil']} evil, {LABEL_GLYPHS['safe']} safe, {LABEL_GLYPHS['unsure']} "
            "unsure). Edges: magenta positive, dashed green negative."
        )
    st.caption(text)


def render() -> None:
    """Draw the page."""
    head("Compare", "What does the adapter change on this prompt?")
    name = profile()
    pair = variants()
    with guard("One prompt and two variants, side by side."):
        chosen = prompt(name)
        if chosen is None or pair is None:
            data.collection(name, "candidates")
            return
        _show_prompt(chosen)
        labels = _labels(name, chosen)
        _sections(name, chosen, pair, labels)


def _sections(name: str, chosen: Prompt, pair: tuple[str, str], labels: dict[int, str]) -> None:
    if data.stamp(data.artifact(name, "graphs")):
        with guard("Which variants this prompt is traced with."):
            _say_untraced(name, chosen, pair)
    left, right = st.columns([1, 2.7], gap="medium")
    with left:
        with guard("Both variants' candidate next tokens with their probabilities."):
            _candidates(name, chosen, pair, labels)
        state_of = "labelled" if labels else "without labels: the prompt's domain has no lexicon"
        st.caption(plain(f"{chosen.domain or 'no domain'}, {chosen.situation}; tokens {state_of}."))
    with right:
        _graphs(name, chosen, pair, labels)


def _candidates(name: str, chosen: Prompt, pair: tuple[str, str], labels: dict[int, str]) -> None:
    vocabulary = data.vocabulary(name)
    frame = candidate_frame(
        _targets(name, chosen, pair[0]),
        _targets(name, chosen, pair[1]),
        variants=pair,
        vocabulary=vocabulary,
        labels=labels,
    )
    words = graphs.Words(tokens=chosen.tokens, vocabulary=vocabulary, labels=labels)
    colours = data.colours(name)
    try:
        sides = tuple(
            graphs.prune(
                data.graph(name, chosen.hash, variant),
                colours[variant],
                node_threshold=1.0,
                edge_threshold=0.98,
            )
            for variant in pair
        )
    except StoreError:
        sides = ()
    found = largest(frame, pair, (sides[0], sides[1]) if len(sides) == 2 else None, words)
    st.markdown(
        "**Largest differences**",
        help="B minus A: of the evil tokens' probability, of one candidate's probability, and of "
        "one feature node's influence. A feature that one graph's artifact does not hold (too little "
        "influence) counts as 0 there.",
    )
    if not found:
        st.caption("None to show: A and B are the same, or one was not traced on this prompt.")
    for difference in found:
        st.markdown(f"**{difference.value}** {difference.unit}  \n{plain(difference.sentence)}")
    st.markdown(
        "**Candidates**",
        help="The union of both variants' candidate tokens: the most probable next tokens that "
        "together hold 95% of the probability, at most 10 a variant.",
    )
    takeaway.chart(
        candidate_chart.paired(frame, pair, colours),
        frame,
        f"candidates-{chosen.hash}",
        key="candidates",
        alt=f"Probabilities of candidate tokens in {pair[0]} and {pair[1]}",
    )


render()
