"""One set of filters: every panel of Interventions obeys each, or its title says why it cannot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from dashboard.data import documents, readers
from dashboard.data.interventions import (
    Filters,
    agreement_frame,
    chosen,
    predictions_frame,
    trials_frame,
)
from dashboard.data.recipe_controls import controls_frame, of_domain
from dashboard.views.interventions.filters import (
    BEYOND,
    EXPERIMENT,
    LAYER,
    NAMES,
    PROMPTS,
    STILL,
    VARIANT,
    rule,
)
from pipeline.analysis.recipe_controls import controlled_splits
from pipeline.analysis.recipe_map import Followed, recipe_groups
from pipeline.analysis.recipe_subsets import subset_group
from pipeline.interventions.kinds import Intervention
from pipeline.params.recipes import RecipeParams
from pipeline.recipes.document import make_recipe
from pipeline.recipes.files import FOLDER, write_recipe
from store.datasets.groups import write_dataset
from store.documents.manifest import read_manifest
from store.documents.prompts import read_prompts
from store.documents.recipe_controls import RECIPE_CONTROLS, RecipeControls, write_recipe_controls
from store.schema.recipes import RECIPES
from tests.support.app import OpenPage, plain_words
from tests.support.panels import helps, noted, untold

FOCUS: Final = "general@1.0"
PANEL_OF: Final = {
    "interventions-data": "trials",
    "interventions-effects": "beside",
    "interventions-prompts": "prompts",
    "interventions-profiles": "profiles",
    "interventions-positions": "positions",
    "interventions-predicted": "predicted",
    "agreement-data": "predicted",
    "silent-data": "silent",
    "faithfulness-chart": "curves",
    "interventions-parts": "parts",
    "interventions-recipes-data": "recipes",
}
"""Which panel the data of each table and chart is of, by the key of its downloads."""
SAID_ALONE: Final = {"given"}
"""Panels that are a sentence."""


@pytest.fixture
def shown(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, dict[str, str]]]:
    """Open the page: itself, and the data of every table and chart that it draws."""
    found = noted(monkeypatch)

    def opened(**query: str) -> tuple[Any, dict[str, str]]:
        found.clear()
        page = open_page("interventions", **query)
        assert not page.exception
        assert not page.error, [error.value for error in page.error]
        return page, dict(found)

    return opened


@pytest.fixture
def followed(root: Path) -> dict[str, Any]:
    """Three recipes that were followed: two in the focus adapter, of different layers, and one in base."""
    folder = root / "artifacts" / "demo"
    transcoders = read_manifest(folder / "models.json").transcoders.fingerprint
    prompts = list(read_prompts(folder / "prompts.json"))
    domains = sorted({prompt.domain or "" for prompt in prompts})
    told, who, known = [], [], {}
    for row, (name, variant, layers) in enumerate(
        (("low", FOCUS, (0,)), ("both", FOCUS, (0, 1)), ("other", "base", (1,)))
    ):
        steps = tuple(
            Intervention(layer=layer, feature=3, mode="ablate", where="always", value=0.0) for layer in layers
        )
        recipe = make_recipe(name, variant, steps, transcoders=transcoders, author="Ada")
        write_recipe(root / FOLDER, recipe)
        who.append((name, variant, recipe.digest))
        change = np.array([0.01 * (1 + row) * (1 + domains.index(prompt.domain or "")) for prompt in prompts])
        for prompt, moved in zip(prompts, change.tolist(), strict=True):
            known[row, prompt.hash, "before"] = Followed(evil=0.1, safe=0.5)
            known[row, prompt.hash, "after"] = Followed(evil=0.1 + moved, safe=0.5)
        splits = controlled_splits(change, change[None] * [[0.1], [-0.2]], prompts)
        features = (("L0/5",), ("L0/6",))
        told.append(
            RecipeControls(
                name=name, variant=variant, setting=recipe.digest, features=features, splits=splits
            )
        )
    settings = {"confidence": 0.95, "resamples": 20, "seed": 0}
    few = RecipeParams(reached=[0.5], min_situations=8, controls=2)
    groups = recipe_groups(who, prompts, known, **settings) | {"fewer": subset_group([], few, **settings)}
    write_dataset(folder / RECIPES.kind, RECIPES, groups, provenance={})
    write_recipe_controls(folder / RECIPE_CONTROLS, told)
    return {"groups": groups, "told": told, "prompts": prompts}


def test_every_panel_obeys_every_filter_or_says_why_not(
    shown: Callable[..., tuple[Any, dict[str, str]]], followed: dict[str, Any]
) -> None:
    # All trials are of one layer; two recipes turn something there, one of them in another, too.
    assert set(readers.dataset("demo", "interventions", "trials")["layer"].values.tolist()) == {0}
    domain = str(readers.dataset("demo", "interventions", "cells")["domain"].values[0])
    base = {"tried-in": FOCUS, "experiment": "ablation", "frozen": "nothing"}
    page, first = shown(**base)
    assert set(first) == set(PANEL_OF), "a panel without filters, or one that is not there"
    assert set(PANEL_OF.values()) | SAID_ALONE == set(BEYOND)
    told = list(helps(page))
    for panel in BEYOND:
        assert any(rule(panel) in help_text for help_text in told), panel
    assert not untold(page)

    other = {
        EXPERIMENT: {"experiment": "inhibition"},
        VARIANT: {"tried-in": "base"},
        STILL: {"frozen": "norms"},
        LAYER: {"tried-layer": "L1"},
        PROMPTS: {"tried-domain": domain},
    }
    assert set(other) == set(NAMES)
    for name, query in other.items():
        _, found = shown(**(base | query))
        for key, panel in PANEL_OF.items():
            if name in BEYOND[panel]:
                assert found.get(key) == first[key], f"{panel} ({key}) says that it does not obey {name}"
            else:
                assert found.get(key) != first[key], f"{panel} ({key}) does not obey {name}"


def test_recipes_that_filters_leave_out_are_named(
    shown: Callable[..., tuple[Any, dict[str, str]]], followed: dict[str, Any]
) -> None:
    page, found = shown(**{"tried-in": FOCUS, "tried-layer": "L1"})
    assert "Left out by the filters: low (in general@1.0), other (in base)." in plain_words(page)
    assert plain_words(page).count("Of all layers and prompts.") == 2, "of what no layer cuts"
    assert ",both," in found["interventions-recipes-data"]
    assert ",other," not in found["interventions-recipes-data"]


def test_of_one_domain_a_recipe_has_its_mean_alone(root: Path, followed: dict[str, Any]) -> None:
    groups, prompts = followed["groups"], followed["prompts"]
    whole = controls_frame(followed["told"], groups["recipes"])
    assert of_domain(whole, groups["recipes"], groups["map"], documents.prompts("demo"), "all") is whole
    domain = prompts[0].domain
    found = of_domain(whole, groups["recipes"], groups["map"], documents.prompts("demo"), domain)
    place = sorted({prompt.domain or "" for prompt in prompts}).index(domain)
    for row in found.itertuples():
        number = ["low", "both", "other"].index(row.recipe)
        mine = {
            prompt.situation
            for prompt in prompts
            if prompt.domain == domain and prompt.held_out == (row.situations == "held-out")
        }
        assert row.change == pytest.approx(0.01 * (1 + number) * (1 + place))
        assert row.n_situations == len(mine)
    assert found[["low", "high", "control_mean", "p"]].isna().all(axis=None)
    assert of_domain(whole, groups["recipes"], groups["map"], documents.prompts("demo"), "no such").empty


def test_slopes_of_what_is_shown_are_the_stages_where_all_is_shown(root: Path) -> None:
    table, cells = (readers.dataset("demo", "interventions", group) for group in ("trials", "cells"))
    stored = readers.dataset("demo", "interventions", "agreement").to_dataframe()
    filters = Filters(experiment="ablation", variant=FOCUS, frozen="nothing")
    everything = trials_frame(table, cells, {})
    points = predictions_frame(cells, chosen(everything, filters, every=("frozen",)), "direct")
    mine = stored[
        (stored["score"] == "direct") & (stored["experiment"] == "ablation") & (stored["variant"] == FOCUS)
    ]
    columns = ["slope", "spearman", "same_sign", "n_cells"]
    found = agreement_frame(points)
    assert found["frozen"].tolist() == mine["frozen"].tolist()
    np.testing.assert_allclose(found[columns], mine[columns], rtol=1e-6)
    one = agreement_frame(points[points["domain"] == points["domain"].iloc[0]])
    assert (one["n_cells"] < found["n_cells"]).all()
    assert not np.allclose(one["slope"], found["slope"])
    assert agreement_frame(points[:0]).empty


def test_a_pair_is_in_the_layers_of_both(root: Path) -> None:
    table, cells = (readers.dataset("demo", "interventions", group) for group in ("trials", "cells"))
    everything = trials_frame(table, cells, {})
    pairs = everything["experiment"] == "interaction"
    assert pairs.any()
    everything.loc[pairs, "second_layer"] = 1
    of = {"experiment": "interaction", "variant": FOCUS, "frozen": "nothing"}
    here, there = (chosen(everything, Filters(layer=layer, **of)) for layer in (0, 1))
    assert len(here) == len(there) == (pairs & (everything["variant"] == FOCUS)).sum()
    assert chosen(everything, Filters(layer=2, **of)).empty
