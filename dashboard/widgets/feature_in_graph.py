"""A feature shown in Compare's graph: its nodes pinned, or a sentence on why there are none to see."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.shell import query, selection, url
from dashboard.style.text import feature_name, plain
from store.views.graph import GraphView

_SOUGHT: Final = "_sought"
"""The feature that was last asked for, and what else was selected then."""


def pin(views: Iterable[GraphView], feature: tuple[int, int]) -> None:
    """Pin a feature's nodes, the most influential last: that is the one the graph describes.

    Parameters
    ----------
    views
        The stored graphs of the selected prompt.
    feature
        Layer and index.
    """
    strongest: dict[str, float] = {}
    for view in views:
        for name, influence in _nodes(view, feature).items():
            strongest[name] = max(strongest.get(name, 0.0), influence)
    others = [one for one in selection.pins() if one not in strongest]
    selection.choose_pins([*others, *sorted(strongest, key=strongest.__getitem__)])
    st.session_state[_SOUGHT] = (feature, _selected())


def say(views: Sequence[GraphView], drawn: Collection[str]) -> None:
    """Say why the feature that was asked for is not seen, until something else is selected.

    Parameters
    ----------
    views
        The stored graphs that are shown.
    drawn
        Ids of the nodes that are drawn.
    """
    feature, then = st.session_state.get(_SOUGHT, (None, None))
    if feature is None or then != _selected():
        return
    if words := unseen(views, feature, drawn):
        st.info(plain(words), icon=":material/search_off:")


def unseen(views: Sequence[GraphView], feature: tuple[int, int], drawn: Collection[str]) -> str | None:
    """Why a feature is in none of the drawn graphs, and the way out; None where it is in one."""
    name = feature_name(*feature)
    nodes = {node for view in views for node in _nodes(view, feature)}
    if not nodes.isdisjoint(drawn):
        return None
    if nodes:
        return (
            f"{name} is pinned, but too weak to be drawn at these thresholds: raise “Node influence kept” "
            "to see it. The table below the graph has its scores."
        )
    firing = [view.variant for view in views if len(_rows(view.active, feature))]
    if firing:
        return (
            f"{name} is active on this prompt in {' and '.join(firing)}, but with too little influence to be "
            "a node of a graph: there is nothing to pin."
        )
    variants = " or ".join(view.variant for view in views)
    return (
        f"{name} is active nowhere on this prompt in {variants}, so it is in no graph of it. Its card lists "
        "the situations where it acts: choose a prompt of one of them."
    )


def _selected() -> dict[str, str]:
    """What the sentence is about: everything selected but the feature."""
    return {key: value for key, value in url.selected().items() if key != query.FEATURE.name}


def _nodes(view: GraphView, feature: tuple[int, int]) -> dict[str, float]:
    """Ids of a feature's nodes of a graph, with their influence."""
    nodes = _rows(view.nodes[view.nodes["kind"] == "feature"], feature)
    layer, index = feature
    return {
        f"F{layer}.{index}.{position}": float(influence)
        for position, influence in zip(nodes["position"], nodes["influence"], strict=True)
    }


def _rows(frame: pd.DataFrame, feature: tuple[int, int]) -> pd.DataFrame:
    return frame[(frame["layer"] == feature[0]) & (frame["feature"] == feature[1])]
