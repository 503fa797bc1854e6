"""What the graph component is given, checked against the stored arrays directly."""

import json

import numpy as np
import pytest

from dashboard.graph import difference, panels, pruned
from dashboard.style.theme import NODE_GLYPHS
from dashboard.views.compare.summary import candidate_frame, largest
from pipeline.analysis.difference import node_changes
from pipeline.analysis.node_ids import node_ids
from tests.support import demo
from tests.support.demo_graphs import PROBABILITIES, WORDS, sides, view


def test_payload_is_json_within_the_cap() -> None:
    left, right = sides(1.0, n_features=2000)
    data = panels.side_by_side(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    json.dumps(data, allow_nan=False)
    marks = sum(len(panel["nodes"]) + len(panel["edges"]) for panel in data["panels"])
    assert marks <= 2000
    assert "the strongest of" in data["panels"][0]["said"]


def test_strongest_sources_and_targets_are_those_of_the_store() -> None:
    left, right = sides()
    data = panels.side_by_side(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    arrays = view("base").item.arrays
    ids = node_ids(left.nodes)
    for node in data["panels"][0]["nodes"][:40]:
        row = ids.index(node["id"])
        into = np.abs(arrays["edge_weight"][arrays["edge_target"] == row])
        outof = np.abs(arrays["edge_weight"][arrays["edge_source"] == row])
        for listed, weights in ((node["sources"], into), (node["targets"], outof)):
            best = np.sort(weights)[::-1][:5]
            shown = [abs(float(weight.replace(",", ""))) for _, weight, _ in listed]
            assert len(shown) == len(best)
            np.testing.assert_allclose(shown, best, rtol=0.006, atol=1e-3)


def test_inactive_on_the_other_side_stands_out_and_pruned_does_not() -> None:
    left, right = sides(0.5)
    data = panels.side_by_side(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    for panel, other, alone in zip(data["panels"], (right, left), ("A only", "B only"), strict=True):
        for node in panel["nodes"]:
            if node["kind"] != "feature":
                continue
            layer, feature, position = (int(part) for part in node["id"][1:].split("."))
            inactive = (layer, position, feature) not in other.active
            assert (node["state"] == "only") == inactive
            assert (node["shape"] == NODE_GLYPHS[alone]) == inactive
            assert (f"inactive in {other.variant}" in node["facts"]) == inactive


def test_both_panels_share_one_layout() -> None:
    left, right = sides()
    data = panels.side_by_side(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    first, second = ({n["id"]: (n["x"], n["y"]) for n in p["nodes"]} for p in data["panels"])
    shared = first.keys() & second.keys()
    assert shared
    assert all(first[name] == second[name] for name in shared)


def test_difference_of_influence_and_edges() -> None:
    left, right = sides()
    both = node_changes(left, right)
    frames = [dict(zip(node_ids(side.nodes), side.nodes["influence"], strict=True)) for side in (left, right)]
    for name, row in both[both["kind"] != "logit"].iterrows():
        expected = frames[1].get(name, 0.0) - frames[0].get(name, 0.0)
        assert row["change"] == pytest.approx(expected)
    data = difference.difference(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    json.dumps(data, allow_nan=False)
    assert len(data["panels"]) == 1


def test_identical_variants_have_no_difference() -> None:
    left, _ = sides()
    assert node_changes(left, left)["change"].abs().max() == 0
    edges = difference.difference(left, left, WORDS, n_layers=demo.LAYERS, pins=())["panels"][0]
    assert all(weight == 0 for _, _, weight, _ in edges["edges"])


def test_said_counts() -> None:
    left, _ = sides()
    assert pruned.said(left).startswith(f"showing {len(left.kept_nodes)} of ")
    assert "% of the influence" in pruned.said(left)


def test_largest_differences_agree_with_the_numbers() -> None:
    left, right = sides(1.0)
    targets = [view(variant).targets for variant in demo.VARIANTS[:2]]
    frame = candidate_frame(
        targets[0],
        targets[1],
        variants=("base", "general@1.0"),
        vocabulary=list(demo.WORDS),
        labels=dict(WORDS.labels),
    )
    found = largest(frame, ("base", "general@1.0"), (left, right), WORDS)
    evil = [demo.ID[word] for word in demo.EVIL]
    mass = {variant: sum(PROBABILITIES[variant][token] for token in evil) for variant in PROBABILITIES}
    change = mass["general@1.0"] - mass["base"]
    assert float(found[0].value) == pytest.approx(change, abs=0.002)
    assert len(found) == 3


def test_unlabelled_is_never_safe() -> None:
    frame = candidate_frame(
        view("base").targets,
        view("general@1.0").targets,
        variants=("base", "general@1.0"),
        vocabulary=list(demo.WORDS),
        labels={},
    )
    assert set(frame["label"]) == {"unlabelled"}
