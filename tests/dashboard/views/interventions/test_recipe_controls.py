"""Recipes beside recipes like them on the Interventions page."""

from pathlib import Path

import numpy as np
import pytest

from dashboard.data.recipe_controls import controls_frame
from pipeline.analysis.recipe_map import Followed, recipe_groups
from pipeline.analysis.recipe_subsets import subset_group
from pipeline.params.recipes import RecipeParams
from store.datasets.groups import write_dataset
from store.documents.recipe_controls import (
    RECIPE_CONTROLS,
    ControlledSplit,
    RecipeControls,
    write_recipe_controls,
)
from store.schema.recipes import RECIPES
from tests.support.app import OpenPage, plain_words
from tests.support.feature_builders import make_prompt

PROMPTS = [make_prompt(number) for number in range(4)]
WHO = [("more", "base", "a" * 64), ("less", "general@1.0", "b" * 64)]


def followed() -> dict[str, object]:
    """The groups of the dataset: P(evil) from 0.1 to 0.3, 0.4, 0.5 and 0.6 by the first recipe."""
    known = {}
    for row in range(2):
        for number, prompt in enumerate(PROMPTS):
            known[row, prompt.hash, "before"] = Followed(evil=0.1, safe=0.5)
            known[row, prompt.hash, "after"] = Followed(evil=0.3 + 0.1 * number, safe=0.5)
    settings = {"confidence": 0.95, "resamples": 50, "seed": 0}
    few = RecipeParams(reached=[0.5], min_situations=8, controls=3)
    return recipe_groups(WHO, PROMPTS, known, **settings) | {"fewer": subset_group([], few, **settings)}


def beside(number: int, controls: tuple[float, ...]) -> RecipeControls:
    name, variant, setting = WHO[number]
    p = 1 / (1 + len(controls)) if controls else None
    none = ControlledSplit(split="held-out", n_situations=0, change=None, controls=(), p=None)
    seen = ControlledSplit(split="seen", n_situations=4, change=0.35, controls=controls, p=p)
    features = tuple((f"L0/{place}",) for place in range(len(controls)))
    return RecipeControls(name=name, variant=variant, setting=setting, features=features, splits=(seen, none))


def test_a_row_has_the_recipe_its_interval_and_its_controls() -> None:
    table = followed()["recipes"]
    told = [beside(0, (0.1, -0.2, 0.4)), beside(1, ())]
    row, other = controls_frame(told, table).to_dict("records")
    assert (row["recipe"], row["situations"], row["n_controls"], row["n_situations"]) == (
        "more",
        "seen",
        3,
        4,
    )
    assert row["change"] == pytest.approx(float(table["evil_change"].values[0, 0])) == 0.35
    assert row["low"] == float(table["low"].values[0, 0]) < row["change"] < row["high"]
    assert (row["control_mean"], row["control_low"], row["control_high"]) == pytest.approx((0.1, -0.2, 0.4))
    assert row["p"] == 1 / 4
    assert (other["variant"], other["n_controls"]) == ("general@1.0", 0)
    assert np.isnan([other["control_mean"], other["p"]]).all()
    assert controls_frame([], table).empty


def test_the_page_shows_those_of_the_variant_and_names_the_others(open_page: OpenPage, root: Path) -> None:
    folder = root / "artifacts" / "demo"
    write_recipe_controls(folder / RECIPE_CONTROLS, [])
    assert "No recipe of this dictionary was followed" in plain_words(open_page("interventions"))
    write_dataset(folder / RECIPES.kind, RECIPES, followed(), provenance={})
    write_recipe_controls(folder / RECIPE_CONTROLS, [beside(0, (0.1, -0.2, 0.4)), beside(1, ())])
    page = open_page("interventions", **{"tried-in": "base"})
    assert not page.exception
    assert not page.error
    said = "On the next token, on all prompts. Left out by the filters: less (in general@1.0)."
    assert said in plain_words(page)
    (shown,) = [frame.value for frame in page.dataframe if "n_controls" in frame.value]
    assert shown["variant"].tolist() == ["base"]
    assert shown["range"].tolist()[0] == "[-0.200, +0.400]"
    # No file says any more what they do, so that it is not known which layers theirs are.
    page = open_page("interventions", **{"tried-in": "base", "tried-layer": "L0"})
    assert not page.exception
    assert (
        "Left out by the filters: less (in general@1.0). In which layers is not known, for no file of "
        "inputs/recipes says it: more (in base)."
    ) in plain_words(page)
