"""“Show in graph”: the feature's nodes are pinned, or a sentence says why there are none to see."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.pages import COMPARE
from dashboard.widgets.feature_in_graph import unseen
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
from store.views.graph import GraphView
from tests.support import demo
from tests.support.app import OpenPage, plain_words

PROMPT = demo.make_prompts()[4].hash
PAIR = ("base", "general@1.0")


@pytest.fixture(scope="module")
def views(demo_root: Path) -> list[GraphView]:
    graphs = open_collection(demo_root / "artifacts" / "demo" / "graphs")
    return [GraphView(graphs.item(PROMPT, variant)) for variant in PAIR]


def features(frame: pd.DataFrame) -> set[tuple[int, int]]:
    return set(zip(frame["layer"].astype(int), frame["feature"].astype(int), strict=True))


def nodes_of(views: list[GraphView]) -> set[tuple[int, int]]:
    return set().union(*(features(view.nodes[view.nodes["kind"] == "feature"]) for view in views))


def carded(root: Path) -> set[tuple[int, int]]:
    """Features that have a card."""
    cards = open_dataset(root / "artifacts" / "demo" / "features", "cards")
    return set(zip(cards["layer"].values.astype(int), cards["index"].values.astype(int), strict=True))


def test_a_feature_that_is_drawn_needs_no_word(views: list[GraphView]) -> None:
    layer, index = min(nodes_of(views))
    drawn = {f"F{layer}.{index}.{position}" for position in range(40)}
    assert unseen(views, (layer, index), drawn) is None


def test_one_that_is_pruned_weak_or_inactive_is_said(views: list[GraphView]) -> None:
    assert "raise “Node influence kept”" in str(unseen(views, min(nodes_of(views)), set()))
    weak: Any = SimpleNamespace(
        variant="base",
        nodes=views[0].nodes.iloc[:0],
        active=pd.DataFrame({"layer": [3], "position": [2], "feature": [5], "value": [0.1]}),
    )
    assert "active on this prompt in base, but with too little" in str(unseen([weak], (3, 5), set()))
    assert "active nowhere on this prompt in base or general@1.0" in str(unseen(views, (3, 9999), set()))


def shown(open_page: OpenPage, feature: tuple[int, int], **query: str) -> AppTest:
    app = open_page("features", prompt=PROMPT, feature=f"L{feature[0]}/{feature[1]}", **query)
    app.button(key="show-in-graph").click().run()
    assert not app.exception
    return app


def test_it_is_described_though_another_node_is_pinned(
    open_page: OpenPage, demo_root: Path, views: list[GraphView]
) -> None:
    layer, index = min(nodes_of(views) & carded(demo_root))
    nodes = pd.concat([view.nodes for view in views])
    mine = nodes[(nodes["kind"] == "feature") & (nodes["layer"] == layer) & (nodes["feature"] == index)]
    position = int(mine.sort_values("influence")["position"].iloc[-1])
    pin = f"F{layer}.{index}.{position}"
    app = shown(open_page, (layer, index), pins=f"{pin},E0.2")
    pins = str(app.session_state["pins"]).split(",")
    # The graph describes the last one.
    assert pins[-1] == pin
    assert pins[0] == "E0.2"


def test_one_that_is_not_there_is_said_until_something_else_is_chosen(
    open_page: OpenPage, demo_root: Path, views: list[GraphView]
) -> None:
    active = set().union(*(features(view.active) for view in views))
    missing = min(carded(demo_root) - active)
    said = f"L{missing[0]}/{missing[1]} is active nowhere on this prompt"
    app = shown(open_page, missing, view="Dose-response")
    assert said in plain_words(app)
    assert app.slider(key="nodes"), "Compare opens with the graph"
    assert said in plain_words(app.switch_page(COMPARE.script).run())
    app.button(key="next-prompt").click().run()
    assert said not in plain_words(app)
