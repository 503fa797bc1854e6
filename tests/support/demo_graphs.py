"""Graphs of the demo's first prompt, pruned and drawn as the graph component gets them."""

import json
from typing import Any

import numpy as np

from dashboard.graph import difference, pruned
from dashboard.graph.score_tables import contrasts
from dashboard.style.node_names import Words
from dashboard.style.theme import ADAPTED, BASE
from store.views.graph import GraphView
from tests.support import demo

PROMPT = demo.make_prompts()[0]
RNG = np.random.default_rng(3)
PROBABILITIES = {name: demo.probabilities_of(name, RNG) for name in demo.VARIANTS[:2]}
WORDS = Words(
    tokens=PROMPT.tokens,
    vocabulary=demo.WORDS,
    labels={demo.ID[word]: "evil" for word in demo.EVIL} | {demo.ID[word]: "safe" for word in demo.SAFE},
)


def view(variant: str, n_features: int = 60) -> GraphView:
    return GraphView(demo.graph_item(PROMPT, variant, PROBABILITIES[variant], n_features=n_features))


def sides(node_threshold: float = 0.8, n_features: int = 60) -> tuple[pruned.Side, pruned.Side]:
    left, right = (
        pruned.prune(view(variant, n_features), colour, node_threshold=node_threshold, edge_threshold=0.98)
        for variant, colour in zip(demo.VARIANTS[:2], (BASE, ADAPTED), strict=True)
    )
    return left, right


def side(variant: str, colour: str, *, threshold: float = 0.8, adapters: bool = True) -> pruned.Side:
    found = view(variant)
    return pruned.prune(
        found,
        colour,
        node_threshold=threshold,
        edge_threshold=0.98,
        adapters=adapters and variant != "base",
        asked=contrasts(view("general@1.0"), WORDS),
    )


def pair(threshold: float = 0.8) -> tuple[pruned.Side, pruned.Side]:
    return side("base", BASE, threshold=threshold), side("general@1.0", ADAPTED, threshold=threshold)


def drawn_difference(left: pruned.Side, right: pruned.Side) -> dict[str, Any]:
    data = difference.difference(left, right, WORDS, n_layers=demo.LAYERS, pins=())
    json.dumps(data, allow_nan=False)
    return {node["id"]: node for node in data["panels"][0]["nodes"]}
