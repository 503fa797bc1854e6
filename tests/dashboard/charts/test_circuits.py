"""Circuits drawn: edges only between features that are, layers from below."""

import pandas as pd

from dashboard.charts.circuits import graph, layers

FEATURES = pd.DataFrame(
    {
        "behaviour": "recall",
        "layer": [0, 0, 2],
        "index": [5, 6, 5],
        "called": ["L0/5", "L0/6", "L2/5"],
        "total_effect": [0.5, -2.0, 1.0],
        "direct": 0.1,
        "frequency": 0.5,
        "supernode": 1,
    }
)
EDGES = pd.DataFrame(
    {
        "source_layer": [0, 0, 0],
        "source_index": [5, 7, 6],
        "target_layer": [2, 2, 1],
        "target_index": [5, 5, 5],
        "weight": [-0.3, 9.0, 9.0],
        "frequency": 0.5,
    }
)


def _data(chart: object) -> list[list[dict[str, object]]]:
    return list(chart.to_dict()["datasets"].values())


def test_only_edges_among_the_features_are_drawn() -> None:
    (lines, points) = sorted(_data(graph(FEATURES, EDGES)), key=len)
    assert [(row["from"], row["to"], row["sign"]) for row in lines] == [("L0/5", "L2/5", "inhibits")]
    assert {row["called"]: row["is"] for row in points} == {
        "L0/5": "for the right answer",
        "L0/6": "for the wrong answer",
        "L2/5": "for the right answer",
    }
    assert len({(row["x"], row["layer"]) for row in points}) == 3, "no feature lies on another"
    none = graph(FEATURES, EDGES.head(0)).to_dict()
    assert none["height"] == graph(FEATURES, EDGES).to_dict()["height"]


def test_layers_sum_sizes() -> None:
    (rows,) = _data(layers(FEATURES))
    assert {row["layer"]: (row["size"], row["features"]) for row in rows} == {0: (2.5, 2), 2: (1.0, 1)}
