"""Scores of nodes, in hovers and of pins, against the stored arrays directly."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dashboard.graph import pruned
from dashboard.graph.node_scores import EVIL_SAFE, Contrasts, contrasts, node_scores
from dashboard.style.node_names import Words, node_ids
from dashboard.style.theme import ADAPTED
from dashboard.views.compare.pinned import pinned_frame
from store.base.errors import NotInStoreError
from store.collections.item import Item
from store.schema.registry import GRAPHS
from store.views.graph import GraphView
from tests.support import demo
from tests.support.demo_graphs import PROBABILITIES, PROMPT, WORDS, drawn_difference, pair, view

NO_LABELS = Words(tokens=PROMPT.tokens, vocabulary=demo.WORDS, labels={})


def older(found: GraphView) -> GraphView:
    """The same graph as an artifact of the first format version has it."""
    kept = {name: values for name, values in found.item.arrays.items() if GRAPHS.arrays[name].since == 1}
    return GraphView(replace(found.item, arrays=kept))


def by_hand(found: GraphView, name: str, contrast: dict[int, float]) -> dict[str, dict[str, float]]:
    """Scores of every feature node, looked up one by one."""
    arrays = found.item.arrays
    selected = np.flatnonzero(arrays["active_selected"]).tolist()
    out = {}
    for place in range(len(arrays["active_layer"])):
        layer, position, feature = (
            int(arrays[f"active_{n}"][place]) for n in ("layer", "position", "feature")
        )
        values = {}
        for score, array in (
            ("direct", "direct"),
            ("influence", "influence"),
            ("total effect", "total_effect"),
        ):
            column = place if array == "direct" else selected.index(place)
            values[score] = sum(
                weight * float(arrays[array][row, column])
                for row, token in enumerate(arrays["target_token"].tolist())
                if (weight := contrast.get(token, 0.0))
            )
        out[f"F{layer}.{feature}.{position}"] = values
    return out


def test_scores_are_those_of_the_store() -> None:
    found = view("general@1.0")
    tokens = found.item.arrays["target_token"].tolist()
    evil = [token for token in tokens if WORDS.labels.get(token) == "evil"]
    safe = [token for token in tokens if WORDS.labels.get(token) == "safe"]
    contrast = dict.fromkeys(evil, 1 / len(evil)) | dict.fromkeys(safe, -1 / len(safe))
    expected = by_hand(found, EVIL_SAFE, contrast)
    asked = contrasts(found, WORDS)
    assert asked.names[0] == EVIL_SAFE
    best = tokens[int(np.argmax(found.item.arrays["target_probability"]))]
    assert asked.names[1].endswith(WORDS.of(best))
    scores = node_scores(found, asked)
    ids = node_ids(found.nodes)
    for row, name in enumerate(ids):
        if name.startswith("F"):
            np.testing.assert_allclose(scores[row, 0], list(expected[name].values()), atol=1e-6)
        else:
            assert np.isnan(scores[row]).all()
    direct = found.adapter_direct[tokens.index(best)]
    np.testing.assert_allclose(scores[len(ids) :, 1, 0], direct, atol=1e-6)
    assert np.isnan(scores[len(ids) :, :, 1:]).all()


def test_without_both_labels_there_is_no_evil_against_safe() -> None:
    asked = contrasts(view("base"), NO_LABELS)
    assert EVIL_SAFE not in asked.names
    assert len(asked.names) == len(view("base").targets)


def test_targets_of_another_graph_are_found_by_token() -> None:
    one = Contrasts(names=["x"], tokens=[5, 7], weights=np.array([[1.0, -1.0]]))
    np.testing.assert_array_equal(one.on(np.array([7, 9, 5])), [[-1.0, 0.0, 1.0]])


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
    shared = next(n for n, node in nodes.items() if node["shape"] == "circle" and n[0] == "F")
    only = next(n for n, node in nodes.items() if node["shape"] == "triangle" and n[0] == "F")
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
