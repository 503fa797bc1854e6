"""Adapter nodes, scores and the difference of two graphs, against the stored arrays directly."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dashboard.graph import difference, panels, pruned
from dashboard.shell.forms import parse_pins
from dashboard.style.text import number
from dashboard.style.theme import ADAPTED, BASE, NODE_GLYPHS
from pipeline.analysis.node_ids import node_ids
from pipeline.analysis.node_scores import EVIL_SAFE
from tests.support import demo
from tests.support.demo_graphs import WORDS, drawn_difference, pair, side, view


def test_ids_of_adapter_nodes_are_pins() -> None:
    _, right = pair(1.0)
    ids = node_ids(right.nodes)
    assert len(set(ids)) == len(ids)
    adapters = [name for name in ids if name.startswith("A")]
    assert len(adapters) == right.n_adapters == 4 * demo.LAYERS * 3
    assert "A0.down.1." in " ".join(adapters)
    for name in adapters:
        assert parse_pins(name) == (name,)
    for bad in ("A2.down", "A2.other.0.7", "A2.7", "A2.hidden.0.0.7"):
        assert parse_pins(bad) is None


def test_error_nodes_give_up_what_the_adapter_nodes_hold() -> None:
    """Into every target, errors and MLP adapter nodes of a place add up to circuit-tracer's errors."""
    found = view("general@1.0")
    arrays = found.item.arrays
    right = side("general@1.0", ADAPTED, threshold=1.0)
    whole, parts = ({}, {})
    for book, edges, nodes in ((whole, found.edges, found.nodes), (parts, right.edges, right.nodes)):
        kinds = nodes["kind"].astype(str).to_numpy()
        places = nodes[["layer", "position"]].to_numpy()
        for target, source, weight in edges[["target", "source", "weight"]].itertuples(index=False):
            if kinds[source] in ("error", "adapter"):
                key = (int(target), *map(int, places[source]))
                book[key] = book.get(key, 0.0) + float(weight)
    # Adapter nodes of a place that stores no error node stand alone.
    errors = {
        (int(row[0]), int(row[1]))
        for row in np.stack([arrays["node_layer"], arrays["node_position"]], 1)[arrays["node_kind"] == 1]
    }
    assert parts
    for key, value in parts.items():
        if key[1:] in errors:
            assert value == pytest.approx(whole.get(key, 0.0), abs=1e-5)


def test_adapter_nodes_are_pruned_by_influence_and_said() -> None:
    right = side("general@1.0", ADAPTED, threshold=0.5)
    influence = right.nodes["influence"].to_numpy()
    is_adapter = (right.nodes["kind"] == "adapter").to_numpy()
    drawn = np.zeros(len(right.nodes), dtype=bool)
    drawn[right.kept_nodes] = True
    inner = right.nodes["kind"].isin(["feature", "error"]).to_numpy()
    least = influence[drawn & inner].min()
    assert drawn[is_adapter].any()
    assert (drawn[is_adapter] == (influence[is_adapter] >= least)).all()
    assert f"{drawn[is_adapter].sum()} of {right.n_adapters} adapter nodes" in pruned.said(right)
    edges = right.edges.iloc[right.kept_edges]
    assert drawn[edges["source"]].all()
    assert drawn[edges["target"]].all()
    assert is_adapter[edges["source"]].any()
    assert "adapter" not in pruned.said(side("general@1.0", ADAPTED, adapters=False))


def test_adapter_nodes_have_a_row_of_their_own() -> None:
    left, right = pair()
    data = panels.side_by_side(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    json.dumps(data, allow_nan=False)
    rows = {row["label"]: row for row in data["rows"]}
    for node in data["panels"][1]["nodes"]:
        if node["kind"] == "adapter":
            layer = int(node["id"][1:].split(".")[0])
            row = rows[f"adapter {layer}"]
            assert row["y0"] < node["y"] < row["y1"]
            assert node["shape"] == NODE_GLYPHS["adapter"]
            assert node["colour"] == ADAPTED
            assert node["label"].startswith(f"adapter L{layer} ")
            assert node["facts"].split(", ", 1)[1] in graphs_parts()
    assert not [node for node in data["panels"][0]["nodes"] if node["kind"] == "adapter"]
    without = panels.side_by_side(left, None, WORDS, n_layers=demo.LAYERS, pins=())
    assert not [row for row in without["rows"] if row["label"].startswith("adapter")]


def graphs_parts() -> set[str]:
    from dashboard.style.node_names import PARTS

    return set(PARTS.values())


@pytest.mark.parametrize("threshold", [0.4, 1.0])
def test_status_is_activity_and_never_pruning(threshold: float) -> None:
    left, right = pair(threshold)
    seen = set()
    for name, node in drawn_difference(left, right).items():
        if node["kind"] != "feature":
            continue
        layer, feature, position = (int(part) for part in name[1:].split("."))
        active = tuple((layer, position, feature) in side.active for side in (left, right))
        seen.add(active)
        expected = {
            (True, True): (NODE_GLYPHS["feature"], None, "shared"),
            (True, False): (NODE_GLYPHS["A only"], BASE, "only"),
            (False, True): (NODE_GLYPHS["B only"], ADAPTED, "only"),
        }[active]
        assert (node["shape"], node["colour"], node["state"]) == expected
        assert ("inactive" in node["facts"]) == (active != (True, True))
    assert len(seen) == 3


def test_adapter_nodes_of_a_difference_are_the_adapted_models() -> None:
    left, right = pair()
    nodes = {name: node for name, node in drawn_difference(left, right).items() if node["kind"] == "adapter"}
    assert nodes
    ids = node_ids(right.nodes)
    for name, node in nodes.items():
        assert (node["shape"], node["colour"]) == (NODE_GLYPHS["adapter"], ADAPTED)
        influence = float(right.nodes["influence"].iloc[ids.index(name)])
        assert node["facts"].startswith(f"influence 0 → {number(influence)} (")
        on, direct, *others = node["scores"][0]
        assert on == EVIL_SAFE
        assert direct == f"0 → {number(float(right.scores[ids.index(name), 0, 0]), sign=True)}"
        assert others == ["— → —", "— → —"]


def test_scores_of_a_difference_are_zero_where_inactive_and_unknown_where_not_stored() -> None:
    left, right = pair(1.0)
    nodes = drawn_difference(left, right)
    only = next(
        name for name, node in nodes.items() if node["shape"] == NODE_GLYPHS["B only"] and name[0] == "F"
    )
    row = node_ids(right.nodes).index(only)
    after = [number(float(value), sign=True) for value in right.scores[row, 0]]
    assert nodes[only]["scores"][0][1:] == [f"0 → {value}" for value in after]
    shared = next(
        name for name, node in nodes.items() if node["shape"] == NODE_GLYPHS["feature"] and name[0] == "F"
    )
    row = node_ids(right.nodes).index(shared)
    kept = np.arange(len(right.nodes)) != row
    # The right graph without that node, which stays active there.
    without = replace(
        right,
        nodes=right.nodes[kept].reset_index(drop=True),
        scores=right.scores[kept],
        edges=right.edges.iloc[:0],
        kept_nodes=np.arange(kept.sum()),
        kept_edges=np.zeros(0, dtype=int),
    )
    words = drawn_difference(left, without)[shared]["scores"][0][1:]
    assert all(word.endswith("→ —") for word in words)
    assert not any(word.startswith("—") for word in words)


def test_edge_width_is_the_change_of_its_weight() -> None:
    left, right = pair(1.0)
    data = difference.difference(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    weights = []
    for side_of in (left, right):
        ids = node_ids(side_of.nodes)
        weights.append(
            {
                (ids[source], ids[target]): float(weight)
                for target, source, weight in side_of.edges[["target", "source", "weight"]].itertuples(
                    index=False
                )
            }
        )
    edges = data["panels"][0]["edges"]
    top = max(abs(weight) for _, _, weight, _ in edges)
    assert any(source.startswith("A") for source, _, _, _ in edges)
    for source, target, weight, width in edges:
        change = weights[1].get((source, target), 0.0) - weights[0].get((source, target), 0.0)
        assert weight == pytest.approx(change, abs=2e-6)
        assert width == pytest.approx(0.5 + 3.5 * abs(weight) / top, abs=0.01)
