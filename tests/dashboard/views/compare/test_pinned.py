"""Buttons that lead to a feature's card name the feature: a person's name first, whatever stands in it."""

from pathlib import Path
from typing import Final

import pytest

from dashboard.data import documents, names
from dashboard.style.text import plain
from dashboard.views.compare.tabs import DOSE, GRAPH, WRITES
from pipeline.labels.feature_names import naming
from pipeline.labels.journal import append
from tests.support.app import OpenPage
from tests.support.demo_graphs import PROMPT

PINNED: Final = (2, 7)
HOSTILE: Final = "quick *money* :red[now] 1/2"


def test_a_pinned_node_leads_to_the_card_of_a_named_feature(open_page: OpenPage) -> None:
    app = open_page("compare", prompt=PROMPT.hash, pins="F2.7.1,F2.7.2,F0.7.1")
    assert not app.exception
    called = names.of_features("demo")
    labels = [button.label for button in app.button if button.label.startswith("Card of")]
    assert labels == [f"Card of {plain(f'L{layer}/7 {called[layer, 7]}')}" for layer in (2, 0)]
    assert called[PINNED].startswith("→ ")
    app.button(key="card-2.7").click().run()
    assert app.session_state["feature"] == "L2/7"


@pytest.mark.parametrize(("view", "key"), [(GRAPH, "card-2.7"), (DOSE, "dose-card"), (WRITES, "write-card")])
def test_a_persons_name_is_written_as_it_is(open_page: OpenPage, root: Path, view: str, key: str) -> None:
    app = open_page("compare", prompt=PROMPT.hash, view=view, pins="F2.7.1")
    place = app.button(key=key).label.replace("\\", "").split()[2]
    layer, index = (int(part) for part in place.removeprefix("L").split("/"))
    _name(root, (layer, index))
    app.run()
    named = plain(f"{place} {HOSTILE}")
    assert app.button(key=key).label == f"Card of {named}"
    if view == WRITES:
        assert app.button(key="write-pin").label == f"Pin {named} in the graph"


def _name(root: Path, feature: tuple[int, int]) -> None:
    transcoders = documents.models("demo").transcoders.fingerprint
    append("Ada", [naming([], "Ada", feature, transcoders, HOSTILE)], root / "inputs/labels")
