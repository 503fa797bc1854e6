"""Error edges without the adapter's part, on a graph small enough to add up by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis.error_split import split_edges
from store.collections.item import Item
from store.schema.vocabulary import ADAPTER_PARTS
from store.views.graph import GraphView
from tests.support.graph_cases import graph_item, make_case, with_adapters

DOWN, HIDDEN, ATTENTION = range(len(ADAPTER_PARTS))

# Nodes: 0 feature L1 position 1, 1 and 2 errors of layer 0 at positions 0 and 1, 3 error of layer 1
# at position 1, 4 token, 5 logit; model of two layers, prompt of two tokens.
NODES = {
    "node_kind": np.array([0, 1, 1, 1, 2, 3], np.int8),
    "node_layer": np.array([1, 0, 0, 1, -1, 2], np.int16),
    "node_position": np.array([1, 0, 1, 1, 0, 1], np.int32),
}
EDGES = [(0, 1, 0.5), (0, 2, 2.0), (0, 4, 1.0), (5, 0, 4.0), (5, 1, 0.25), (5, 3, -1.0)]


def _item(adapters: list[tuple[int, int, int]], edges: list[tuple[int, int, float]]) -> Item:
    """A graph with adapter nodes (part, layer, position) and their edges (target, source, weight)."""
    target, source, weight = (np.array(column) for column in zip(*EDGES, strict=True))
    own = np.array(edges, dtype=np.float64).reshape(-1, 3)
    part, layer, position = np.array(adapters).reshape(-1, 3).T
    arrays = {
        **NODES,
        "token": np.array([7, 8], np.int32),
        "edge_target": target.astype(np.int32),
        "edge_source": source.astype(np.int32),
        "edge_weight": weight.astype(np.float32),
        "edge_default": np.ones(len(EDGES), dtype=bool),
        "adapter_part": part.astype(np.int8),
        "adapter_layer": layer.astype(np.int16),
        "adapter_position": position.astype(np.int32),
        "adapter_edge_target": own[:, 0].astype(np.int32),
        "adapter_edge_source": own[:, 1].astype(np.int32),
        "adapter_edge_weight": own[:, 2].astype(np.float32),
    }
    return Item(
        key="0" * 64, prompt_hash="0" * 12, variant="general@1.0", arrays=arrays, scalars={"n_layers": 2}
    )


def _rows(frame: pd.DataFrame) -> list[tuple[int, int, float, bool]]:
    return [
        (int(t), int(s), float(w), bool(d))
        for t, s, w, d in frame[["target", "source", "weight", "default"]].itertuples(index=False)
    ]


def test_the_adapters_of_a_place_leave_its_error() -> None:
    # Two components and what the hidden layer adds, at layer 0, position 1: error 2.0 there.
    adapters = [(DOWN, 0, 1), (DOWN, 0, 1), (HIDDEN, 0, 1)]
    item = _item(adapters, [(0, 0, 0.5), (0, 1, -3.0), (0, 2, 1.0)])
    expected = [(t, s, w, True) for t, s, w in EDGES]
    expected[1] = (0, 2, 2.0 - (0.5 - 3.0 + 1.0), True)
    assert _rows(split_edges(GraphView(item))) == expected
    # What is stored stays circuit-tracer's.
    assert _rows(GraphView(item).edges) == [(t, s, w, True) for t, s, w in EDGES]


def test_places_and_targets_are_not_mixed() -> None:
    # Layer 0 at position 0, layer 1 at position 1, and both targets of the former.
    item = _item([(DOWN, 0, 0), (DOWN, 1, 1)], [(0, 0, 0.125), (5, 0, 0.5), (5, 1, 2.0)])
    rows = {(t, s): w for t, s, w, _ in _rows(split_edges(GraphView(item)))}
    assert rows[0, 1] == 0.5 - 0.125
    assert rows[5, 1] == 0.25 - 0.5
    assert rows[5, 3] == -1.0 - 2.0
    assert rows[0, 2] == 2.0
    assert len(rows) == len(EDGES)


def test_an_error_edge_that_is_not_there_appears() -> None:
    # Adapter and the rest cancel to the bit: the error edge was 0 and is not stored.
    item = _item([(DOWN, 0, 1), (HIDDEN, 0, 1)], [(5, 0, 1.5), (5, 1, 0.25)])
    split = split_edges(GraphView(item))
    assert _rows(split.iloc[:-1]) == [(t, s, w, True) for t, s, w in EDGES]
    assert _rows(split.iloc[-1:]) == [(5, 2, -1.75, False)]
    dtypes = [str(dtype) for dtype in split.dtypes]
    assert dtypes == ["int32", "int32", "float32", "bool"]


def test_attention_is_no_part_of_the_mlps_error() -> None:
    item = _item([(ATTENTION, 0, 1)], [(0, 0, 5.0)])
    assert _rows(split_edges(GraphView(item))) == [(t, s, w, True) for t, s, w in EDGES]


def test_an_error_node_that_is_not_stored_is_left_out() -> None:
    item = _item([(DOWN, 1, 0)], [(5, 0, 5.0)])
    assert _rows(split_edges(GraphView(item))) == [(t, s, w, True) for t, s, w in EDGES]


def test_without_adapters_nothing_changes() -> None:
    pd.testing.assert_frame_equal(split_edges(GraphView(_item([], []))), GraphView(_item([], [])).edges)
    base = graph_item(make_case(3))
    pd.testing.assert_frame_equal(split_edges(GraphView(base)), GraphView(base).edges)


def test_differences_are_taken_in_float64() -> None:
    # In float32, 2^24 + 1 is 2^24: the second component would be lost.
    item = _item([(DOWN, 0, 1), (DOWN, 0, 1)], [(0, 0, 2.0**24), (0, 1, 1.0)])
    assert split_edges(GraphView(item))["weight"][1] == 2.0 - (2.0**24 + 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_parts_add_up_to_the_error_again(seed) -> None:
    item = with_adapters(graph_item(make_case(seed), keep=1.0), n_adapters=9, seed=seed)
    view = GraphView(item)
    size = (len(view.nodes), len(view.nodes))

    def dense(frame: pd.DataFrame) -> np.ndarray:
        matrix = np.zeros(size)
        np.add.at(matrix, (frame["target"], frame["source"]), frame["weight"].astype(float))
        return matrix

    places = {
        (layer, position): row
        for row, (kind, layer, position) in enumerate(
            view.nodes[["kind", "layer", "position"]].itertuples(index=False)
        )
        if kind == "error"
    }
    back = dense(split_edges(view))
    for target, source, weight in view.adapter_edges.itertuples(index=False):
        node = view.adapters.loc[source]
        back[target, places[node["layer"], node["position"]]] += float(weight)
    np.testing.assert_allclose(back, dense(view.edges), atol=1e-6)


def test_an_older_graph_says_so() -> None:
    item = graph_item(make_case(3))
    older = replace(
        item, arrays={name: a for name, a in item.arrays.items() if not name.startswith("adapter")}
    )
    with pytest.raises(KeyError, match=r"no array adapter_part: .* older version .*`dvc repro`"):
        split_edges(GraphView(older))
