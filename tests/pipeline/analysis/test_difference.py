"""The difference of two graphs: a planted truth, and none between a graph and itself."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis.difference import edge_changes, node_changes, score_changes
from tests.support.demo_graphs import pair

COLUMNS = ["kind", "layer", "position", "feature", "value", "influence"]


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A graph's tables by hand."""

    nodes: pd.DataFrame
    edges: pd.DataFrame
    active: dict[tuple[int, int, int], float] = field(default_factory=dict)


def graph(
    nodes: list[tuple[str, int, int, int, float, float]],
    edges: list[tuple[int, int, float]],
    active: dict[tuple[int, int, int], float],
    parts: list[str] | None = None,
) -> Tables:
    frame = pd.DataFrame(nodes, columns=COLUMNS)
    return Tables(
        nodes=frame if parts is None else frame.assign(part=parts),
        edges=pd.DataFrame(edges, columns=["source", "target", "weight"]),
        active=active,
    )


# Both have L0/5 and the logit 9; L1/7 is active on the right only, L0/6 on the left only, L1/8
# is active in both and stored on the left alone. Rows differ, and the right has an adapter node.
LEFT = graph(
    [
        ("feature", 0, 1, 5, 2.0, 0.4),
        ("feature", 0, 1, 6, 1.0, 0.3),
        ("feature", 1, 1, 8, 1.5, 0.2),
        ("logit", 2, 1, 9, 0.25, 0.0),
    ],
    [(0, 3, 1.0), (1, 3, 0.5), (0, 2, 0.25)],
    {(0, 1, 5): 2.0, (0, 1, 6): 1.0, (1, 1, 8): 1.5},
)
RIGHT = graph(
    [
        ("logit", 2, 1, 9, 0.75, 0.0),
        ("feature", 1, 1, 7, 4.0, 0.5),
        ("feature", 0, 1, 5, 3.0, 0.1),
        ("adapter", 0, 1, -1, np.nan, 0.6),
    ],
    [(2, 0, 3.0), (1, 0, -1.0), (3, 1, 0.125)],
    {(0, 1, 5): 3.0, (1, 1, 7): 4.0, (1, 1, 8): 0.5},
    ["", "", "", "down"],
)


def test_planted_nodes() -> None:
    changes = node_changes(LEFT, RIGHT)
    assert changes["presence"].to_dict() == {
        "A0.down.1": "right",
        "F0.5.1": "shared",
        "F0.6.1": "left",
        "F1.7.1": "right",
        "F1.8.1": "shared",
        "O9.1": "shared",
    }
    expected = {"A0.down.1": 0.6, "F0.5.1": -0.3, "F0.6.1": -0.3, "F1.7.1": 0.5, "F1.8.1": -0.2, "O9.1": 0.5}
    assert changes["change"].to_dict() == pytest.approx(expected)
    assert changes.loc["F0.6.1", ["size_right", "activation_right"]].to_list() == [0.0, 0.0]
    assert changes.loc["F1.8.1", "activation_right"] == 0.5
    assert np.isnan(changes.loc["F1.8.1", "size_right"]), "active there and not stored: not known"
    assert changes.loc["A0.down.1", "size_left"] == 0.0
    assert changes.loc["F0.5.1", ["row_left", "row_right"]].to_list() == [0.0, 2.0]


def test_planted_edges() -> None:
    changes = node_changes(LEFT, RIGHT)
    names = list(changes.index)
    edges = edge_changes(changes, LEFT, RIGHT)
    by_ends = {
        (names[source], names[target]): weight
        for source, target, weight in edges[["source", "target", "weight"]].itertuples(index=False)
    }
    assert by_ends == {
        ("F0.5.1", "O9.1"): 2.0,
        ("F1.7.1", "O9.1"): -1.0,
        ("F0.6.1", "O9.1"): -0.5,
        ("F0.5.1", "F1.8.1"): -0.25,
        ("A0.down.1", "F1.7.1"): 0.125,
    }
    assert edges["weight"].abs().is_monotonic_decreasing
    both = edges[edges["row_left"].notna() & edges["row_right"].notna()]
    assert both[["row_left", "row_right"]].to_numpy().tolist() == [[0.0, 0.0]]


def test_planted_scores() -> None:
    changes = node_changes(LEFT, RIGHT)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2, 3))
    before, after = (
        dict(zip(changes.index, side, strict=True)) for side in score_changes(changes, left, right)
    )
    np.testing.assert_array_equal(before["F0.5.1"], left[0])
    np.testing.assert_array_equal(after["F0.5.1"], right[2])
    assert (after["F0.6.1"] == 0).all()
    assert (before["F1.7.1"] == 0).all()
    assert np.isnan(after["F1.8.1"]).all()
    np.testing.assert_array_equal(before["A0.down.1"][:, 0], 0.0)
    np.testing.assert_array_equal(after["A0.down.1"][:, 0], right[3, :, 0])
    assert np.isnan(after["A0.down.1"][:, 1:]).all()


def test_a_graph_differs_nowhere_from_itself() -> None:
    for side in pair():
        changes = node_changes(side, side)
        assert (changes["presence"] == "shared").all()
        assert (changes["change"] == 0).all()
        assert (edge_changes(changes, side, side)["weight"] == 0).all()
        before, after = score_changes(changes, side.scores, side.scores)
        np.testing.assert_array_equal(before, after)


def test_exchanged_sides_change_the_sign() -> None:
    changes, back = node_changes(LEFT, RIGHT), node_changes(RIGHT, LEFT)
    np.testing.assert_array_equal(changes["change"], -back["change"])
    names = {"shared": "shared", "left": "right", "right": "left"}
    assert changes["presence"].map(names).to_list() == back["presence"].to_list()
