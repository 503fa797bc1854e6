"""Every panel of Circuit and Interventions obeys each filter, or its title says why it cannot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from dashboard.views.behaviours.filters import (
    BEHAVIOUR,
    EXPERIMENT,
    FLIPS,
    LAYER,
    LEAST,
    OF_CIRCUIT,
    OF_TRIED,
    ONE_FEATURE,
    ONE_PROMPT,
    PANELS,
    SPLIT,
    SUPERNODE,
    VARIANT,
)
from store.datasets.groups import open_dataset
from store.documents.behaviour_prompts import SPLITS
from tests.support.app import OpenPage
from tests.support.demo.behaviour_graphs import write_behaviour_graphs
from tests.support.demo.behaviours import behaviour_prompts
from tests.support.demo.circuits import TRACED
from tests.support.demo_project import own
from tests.support.panels import helps, noted, untold

CIRCUIT: Final = {
    "circuit-graph": "graph",
    "circuit-layers": "layers",
    "circuit": "features",
    "circuit-neighbours": "neighbours",
    "circuit-prompts": "prompts",
    "circuit-prompt": "prompt",
}
TRIED: Final = {
    "partnered-data": "trials",
    "behaviour-interventions-effects": "beside",
    "behaviour-interventions-prompts": "cells",
    "partnered-profiles": "profiles",
    "partnered-experiments": "experiments",
    "partnered-curves-recall": "curves",
    "partnered-layers": "parts",
    "partnered-importance-data": "importance",
}
"""Panels by the key of their downloads."""
Shown = Callable[..., tuple[Any, dict[str, str]]]


@pytest.fixture
def shown(open_page: OpenPage, root: Path, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Open the page: itself, and the data of every table and chart that it draws."""
    own(root, "by_behaviour")
    write_behaviour_graphs(root / "artifacts" / "demo")
    found = noted(monkeypatch)

    def opened(**query: str) -> tuple[Any, dict[str, str]]:
        found.clear()
        page = open_page("behaviours", **{name.replace("_", "-"): value for name, value in query.items()})
        assert not page.exception
        assert not page.error, [error.value for error in page.error]
        return page, dict(found)

    return opened


def check(
    shown: Shown, panel_of: dict[str, str], base: dict[str, str], other: dict[str, dict[str, str]]
) -> None:
    """With one filter after the other changed, what obeys it changes, and nothing else."""
    page, first = shown(**base)
    assert set(first) == set(panel_of), "a panel without filters, or one that is not there"
    told = list(helps(page))
    for panel in panel_of.values():
        assert any(PANELS[panel].rule in each for each in told), panel
    assert not untold(page)
    by_split = {split: shown(**(base | {"split": split}))[1] for split in SPLITS}
    for key, panel in panel_of.items():
        own = PANELS[panel].split
        if own:
            there = {split: found.get(key) for split, found in by_split.items()}
            assert there == dict.fromkeys(SPLITS) | {own: first[key]}, f"{panel} is of {own} prompts alone"
        else:
            assert any(found.get(key) != first[key] for found in by_split.values()), panel
    for name, query in other.items():
        _, found = shown(**(base | query))
        for key, panel in panel_of.items():
            if name in PANELS[panel].beyond:
                assert found.get(key) == first[key], f"{panel} says that it does not obey {name}"
            else:
                assert found.get(key) != first[key], f"{panel} does not obey {name}"


def test_every_panel_of_circuit_obeys_every_filter_or_says_why_not(shown: Shown, root: Path) -> None:
    edges = open_dataset(root / "artifacts/demo/circuits", "edges").to_dataframe()
    edge = edges[(edges["variant"] == "base") & (edges["behaviour"] == "recall")].iloc[0]
    base = {
        "behaviour_view": "Circuit",
        "behaviour": "recall",
        "behaviours_of": "base",
        "behaviour_prompt": behaviour_prompts("recall")[0].hash,
        "feature": f"L{edge['source_layer']}/{edge['source_index']}",
    }
    other = {
        VARIANT: {"behaviours_of": TRACED[1]},
        BEHAVIOUR: {"behaviour": "agreement"},
        LAYER: {"behaviour_layer": "L0"},
        SUPERNODE: {"behaviour_supernode": "1"},
        LEAST: {"least_effect": "0.3"},
    }
    assert {SPLIT, *other} == set(OF_CIRCUIT)
    check(shown, CIRCUIT, base, other)


def test_every_panel_of_interventions_obeys_every_filter_or_says_why_not(shown: Shown, root: Path) -> None:
    assert {*CIRCUIT.values(), *TRIED.values()} == set(PANELS)
    other = {
        VARIANT: {"behaviours_of": TRACED[1]},
        BEHAVIOUR: {"behaviour": "agreement"},
        LAYER: {"behaviour_layer": "L0"},
        SUPERNODE: {"behaviour_supernode": "1"},
        LEAST: {"least_effect": "1.0"},
        EXPERIMENT: {"behaviour_experiment": "inhibition"},
        FLIPS: {"flips_only": "true"},
        ONE_PROMPT: {"this_prompt_only": "true"},
        ONE_FEATURE: {"this_feature_only": "true"},
    }
    assert {SPLIT, *other} == set(OF_TRIED)
    base = {
        "behaviour_view": "Interventions",
        "behaviour": "recall",
        "behaviours_of": "base",
        "behaviour_prompt": behaviour_prompts("recall")[-1].hash,
        "feature": "L0/3",
    }
    check(shown, TRIED, base, other)
