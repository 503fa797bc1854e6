"""Graph layout: nodes never overlap, rows are in order, both panels agree."""

from hypothesis import given
from hypothesis import strategies as st

from dashboard.graph.layout import Mark, place

LAYERS, POSITIONS = 3, 4


@st.composite
def marks(draw: st.DrawFn) -> list[Mark]:
    kinds = draw(st.lists(st.sampled_from(["feature", "error", "token", "logit", "adapter"]), max_size=60))
    return [
        Mark(
            id=f"n{index}",
            kind=kind,
            layer=draw(st.integers(0, LAYERS - 1)),
            position=draw(st.integers(0, POSITIONS - 1)),
            rank=draw(st.floats(0, 1)),
        )
        for index, kind in enumerate(kinds)
    ]


@given(marks())
def test_no_two_nodes_share_a_place(found: list[Mark]) -> None:
    layout = place(found, n_layers=LAYERS, n_positions=POSITIONS)
    places = list(layout.places.values())
    assert len(places) == len(found)
    for index, (x, y) in enumerate(places):
        for other_x, other_y in places[:index]:
            assert abs(x - other_x) >= 0.999 or abs(y - other_y) >= 0.999


@given(marks())
def test_nodes_stand_in_their_column_and_band(found: list[Mark]) -> None:
    layout = place(found, n_layers=LAYERS, n_positions=POSITIONS)
    bands = {row["label"]: (row["y0"], row["y1"]) for row in layout.rows}
    for mark in found:
        x, y = layout.places[mark.id]
        left, right = layout.columns[mark.position]
        assert left < x < right
        label = {
            "feature": f"L{mark.layer}",
            "error": f"err {mark.layer}",
            "adapter": f"adapter {mark.layer}",
        }.get(mark.kind, f"{mark.kind}s")
        low, high = bands[label]
        assert low < y < high
    assert layout.width > 0
    assert layout.rows[0]["label"] == "tokens"
    assert layout.rows[-1]["label"] == "logits"


def test_layers_rise_and_the_strongest_stands_first() -> None:
    found = [
        Mark(id="weak", kind="feature", layer=1, position=0, rank=0.1),
        Mark(id="strong", kind="feature", layer=1, position=0, rank=0.9),
        Mark(id="below", kind="feature", layer=0, position=0, rank=0.5),
    ]
    places = place(found, n_layers=2, n_positions=1).places
    assert places["strong"][0] < places["weak"][0]
    assert places["below"][1] < places["weak"][1]


def test_same_id_in_both_panels_has_one_place() -> None:
    twice = [Mark(id="n", kind="feature", layer=0, position=1, rank=rank) for rank in (0.1, 0.7)]
    assert len(place(twice, n_layers=1, n_positions=2).places) == 1
