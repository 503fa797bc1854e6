"""Scores of nodes, in hovers and of pins, against the stored arrays directly."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dashboard.graph import pruned
from dashboard.graph.score_tables import contrasts
from dashboard.style.theme import ADAPTED, NODE_GLYPHS
from dashboard.views.compare.pinned import pinned_frame
from pipeline.analysis.node_ids import node_ids
from pipeline.analysis.node_scores import node_scores
from store.base.errors import NotInStoreError
from store.collections.item import Item
from store.schema.graphs import GRAPHS
from store.views.graph import GraphView
from tests.support import demo
from tests.support.demo_graphs import PROBABILITIES, PROMPT, WORDS, drawn_difference, pair, view


def older(found: GraphView) -> GraphView:
    """The same graph as an artifact of the first format version has it."""
    kept = {name: values for name, values in found.item.arrays.items() if GRAPHS.arrays[name].since == 1}
    return GraphView(replace(found.item, arrays=kept))


def test_an_older_artifact_has_direct_effects_alone() -> None:
    found = older(view("general@1.0"))
    scores = node_scores(found, contrasts(found, WORDS))
    features = (found.nodes["kind"] == "feature").to_numpy()
    assert len(scores) == len(found.nodes)
    assert np.isfinite(scores[features][:, :, 0]).all()
    assert np.isnan(scores[:, :, 1:]).all()
    pruned.prune(found, ADAPTED, node_threshold=0.8, edge_threshold=0.98, asked=contrasts(found, WORDS))
    with pytest.raises(NotInStoreError, match="dvc repro"):
        pruned.prune(found, ADAPTED, node_threshold=0.8, edge_threshold=0.98, adapters=True)


def _item(variant: str, **changes: Any) -> Item:
    item = demo.graph_item(PROMPT, variant, PROBABILITIES[variant])
    return replace(item, arrays={**item.arrays, **changes})


def test_pins_are_told_in_both_graphs_wherever_they_are() -> None:
    views = [view("base"), view("general@1.0")]
    left, right = pair(1.0)
    nodes = drawn_difference(left, right)
    shared = next(n for n, node in nodes.items() if node["shape"] == NODE_GLYPHS["feature"] and n[0] == "F")
    only = next(n for n, node in nodes.items() if node["shape"] == NODE_GLYPHS["B only"] and n[0] == "F")
    adapter = next(n for n, node in nodes.items() if node["kind"] == "adapter")
    gone = "F0.1023.3"
    elsewhere = "F0.7.400"
    one = contrasts(views[1], WORDS).first(1)
    frame = pinned_frame(views, [shared, only, adapter, gone, elsewhere], WORDS, one)
    assert frame["variant"].to_list() == ["base", "general@1.0"] * 4
    assert frame["here"].to_list() == [
        "in the graph", "in the graph", "inactive", "in the graph", "no adapter", "in the graph",
        "inactive", "inactive",
    ]  # fmt: skip
    row = frame.iloc[3]
    place = node_ids(right.nodes).index(only)
    assert row["node_influence"] == pytest.approx(float(right.nodes["influence"].iloc[place]))
    assert row["direct"] == pytest.approx(float(right.scores[place, 0, 0]))
    assert frame.iloc[2][["value", "direct", "total effect"]].to_list() == [0.0, 0.0, 0.0]
    assert np.isnan(frame.iloc[4]["direct"])
    assert np.isfinite(frame.iloc[5]["direct"])


def test_a_pin_that_is_active_but_not_stored_is_never_called_absent() -> None:
    found = view("base")
    arrays = found.item.arrays
    keep = np.ones(len(arrays["node_kind"]), dtype=bool)
    keep[0] = False
    name = node_ids(found.nodes)[0]
    cut = {n: v[keep] for n, v in arrays.items() if GRAPHS.arrays[n].dims == ("node",)}
    none = {n: v[:0] for n, v in arrays.items() if GRAPHS.arrays[n].dims == ("edge",)}
    frame = pinned_frame(
        [GraphView(_item("base", **cut, **none))], [name], WORDS, contrasts(found, WORDS).first(1)
    )
    assert frame["here"].to_list() == ["active, not stored"]
    assert frame["value"].to_list() == pytest.approx([float(arrays["active_value"][0])])
    assert frame["direct"].isna().all()
