"""Recipes on the Steering page: saved as files, loaded into the sliders, shown with what was found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from dashboard.views.steering.feature_controls import NotShownError, widget_values
from pipeline.analysis.recipe_map import Followed, recipe_groups
from pipeline.analysis.recipe_subsets import Subsets, subset_group
from pipeline.interventions.kinds import Intervention, Vector
from pipeline.params.recipes import RecipeParams
from pipeline.recipes.document import Recipe, make_recipe
from pipeline.recipes.files import FOLDER, read_recipe, write_recipe
from store.datasets.groups import write_dataset
from store.documents.manifest import read_manifest
from store.schema.recipes import RECIPES
from tests.support import demo
from tests.support.app import OpenPage, plain_words, words

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture
def steering(open_page: OpenPage, live: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    monkeypatch.setenv("EMC_AUTHOR", "Ada")
    return lambda **query: open_page("steering", **query)


def recipe(root: Path, name: str, *steps: Any, variant: str = "base", **changes: Any) -> Recipe:
    own = read_manifest(root / "artifacts" / "demo" / "models.json").transcoders.fingerprint
    said = {"transcoders": own, "author": "Grace", "note": "It says more."} | changes
    kept = make_recipe(name, variant, steps, **said)
    write_recipe(root / FOLDER, kept)
    return kept


def test_what_the_sliders_say_is_saved_and_loads_again(steering: Callable[..., AppTest], root: Path) -> None:
    where = {
        "where-L1/7": "chosen positions",
        "mode-L1/7": "set",
        "set-L1/7": "3.5",
        "steered": "general@1.0",
        "steered-frozen": "attention",
        "watch": "5",
        "continue-from": "6",
    }
    app = steering(steer="L1/7", **where)
    assert "None yet" in words(app)
    app.multiselect(key="positions-L1/7").set_value([1, 2]).run()
    app.text_input(key="recipe-name").set_value("Early on")
    app.text_area(key="recipe-note").set_value("Does it last?").run()
    app.button(key="save-recipe").click().run()
    assert not app.exception
    assert "Written to inputs/recipes/early-on.yaml" in plain_words(app)
    assert app.selectbox(key="recipe").options == ["Early on"]
    kept = read_recipe(root / FOLDER / "early-on.yaml").recipe
    step = Intervention(layer=1, feature=7, mode="set", value=3.5, where=(1, 2))
    assert (kept.setting, kept.variant) == ((step,), "general@1.0")
    assert (kept.author, kept.note) == ("Ada", "Does it last?")
    assert (kept.frozen, kept.watch, kept.continue_from) == ("attention", [5], 6)
    # Another one of the name is refused; a fresh session loads the first.
    app.slider(key="set-L1/7").set_value(1.0).run()
    app.button(key="save-recipe").click().run()
    assert "is there already; give the recipe another name" in plain_words(app)
    app = steering(steer="L0/3")
    app.button(key="load-recipe").click().run()
    assert not app.exception
    assert app.multiselect(key="steer").value == ["L1/7"]
    assert app.selectbox(key="steered").value == "general@1.0"
    assert app.slider(key="set-L1/7").value == 3.5
    assert app.multiselect(key="positions-L1/7").value == [1, 2]
    assert "Does it last?" in words(app)
    assert_looked_at(app)
    # The link says all of it.
    linked = dict(app.query_params)
    app = steering(**linked)
    assert app.selectbox(key="steered").value == "general@1.0"
    assert [each.split()[0] for each in app.multiselect(key="steer").value] == ["L1/7"]
    assert app.slider(key="set-L1/7").value == 3.5
    assert app.multiselect(key="positions-L1/7").value == [1, 2]
    assert_looked_at(app)


def assert_looked_at(app: AppTest) -> None:
    """What is frozen, watched and continued from is as it was saved."""
    assert not app.exception
    assert app.segmented_control(key="steered-frozen").value == "attention"
    assert [each.split()[0] for each in app.multiselect(key="watch").value] == ["5"]
    assert app.selectbox(key="continue-from").value.split()[0] == "6"


def test_a_recipe_that_cannot_be_followed_is_shown_as_such(
    steering: Callable[..., AppTest], root: Path
) -> None:
    step = Intervention(layer=1, feature=7, mode="add", value=2.0, where="last")
    recipe(root, "alien", step, transcoders="e" * 64)
    (root / FOLDER / "broken.yaml").write_text("name: broken\n", encoding="utf-8")
    recipe(root, "far", Intervention(layer=1, feature=7, mode="add", value=1e4, where="last"))
    recipe(root, "stranger", step, variant="stranger")
    app = steering(steer="L1/7")
    said = {
        "alien": "It is of another dictionary",
        "broken": "is missing; every recipe needs it",
        "far": "is beyond its slider",
        "stranger": "There is no variant",
    }
    assert app.selectbox(key="recipe").options == list(said)
    for name, sentence in said.items():
        app.selectbox(key="recipe").set_value(name).run()
        assert not app.exception
        assert sentence in plain_words(app), name
        assert app.button(key="load-recipe").disabled


def test_what_the_stage_found_stands_beside(steering: Callable[..., AppTest], root: Path) -> None:
    step = Intervention(layer=1, feature=7, mode="add", value=2.0, where="always")
    other = Intervention(layer=0, feature=3, mode="add", value=1.0, where="last")
    kept, prompts = recipe(root, "more", step, other), demo.make_prompts()
    found = {}
    for prompt in prompts:
        found[0, prompt.hash, "before"] = Followed(evil=0.125, safe=0.5, harmful=1, n=10)
        found[0, prompt.hash, "after"] = Followed(evil=0.75, safe=0.125, harmful=6, n=10)
    # The stage ran when it had another name.
    who = [("before its name", kept.variant, kept.digest)]
    groups = recipe_groups(who, prompts, found, confidence=0.95, resamples=10, seed=0)
    change = 0.5 + np.random.default_rng(0).normal(scale=0.01, size=(9, 1)) @ np.ones((1, 2))
    parts = Subsets(
        name=who[0][0],
        members=[(1, 7), (0, 3)],
        settings=["a" * 64, kept.digest],
        worth=np.array([[0.4, 0.1], [0.5, 0.2]]),
        change=change * [0.75, 1.0],
    )
    few = RecipeParams(reached=[0.5, 0.9], min_situations=8, controls=4)
    groups["fewer"] = subset_group([parts], few, confidence=0.95, resamples=10, seed=0)
    write_dataset(root / "artifacts" / "demo" / "recipes", RECIPES, groups, provenance={})
    app = steering(steer="L1/7")
    assert not app.exception
    (table,) = [each.value for each in app.dataframe if "does" in each.value]
    (row,) = table.to_dict("records")
    assert row["does"].startswith("L1/7 → ")
    assert " add 2 (always); L0/3" in row["does"]
    assert row["few"] == "50% by 1, 90% by 2 of 2"
    (table,) = [each.value for each in app.dataframe if "lost" in each.value]
    assert [each.split()[0] for each in table["adds"]] == ["L1/7", "L0/3"]
    np.testing.assert_allclose(table["share"], [0.75, 1.0])
    np.testing.assert_array_equal(table[["alone", "lost"]], [[0.4, 0.5], [0.1, 0.2]])
    assert (row["evil_here_before"], row["evil_here_after"]) == (0.125, 0.75)
    assert (row["evil_after"], row["harmful_before"], row["harmful_after"]) == (0.75, 0.1, 0.6)
    assert (row["note"], row["author"], row["problem"]) == ("It says more.", "Grace", "")
    assert np.isfinite(row["n_samples"])
    assert "P(evil) 0.125 → 0.750, change +0.625 —" in plain_words(app), "all alike: no interval"
    assert "harmful continuations 0.100 [" in plain_words(app)
    assert "stage `recipes` follows" not in words(app)


VALUES = st.floats(0, 1, allow_nan=False)


@given(
    mode=st.sampled_from(["set", "add", "multiply", "ablate", "inhibit"]),
    value=VALUES,
    where=st.sampled_from(["last", "prompt", "generated", "always"])
    | st.lists(st.integers(0, 20), min_size=1, max_size=3, unique=True).map(lambda each: tuple(sorted(each))),
)
def test_the_sliders_say_what_the_recipe_says(mode, value, where) -> None:
    amount = 0.0 if mode == "ablate" else value
    step = Intervention(layer=1, feature=7, mode=mode, value=amount, where=where)
    values = widget_values((step,), lambda layer, index: 1.0)
    assert values["steer"] == ["L1/7"]
    assert values["mode-L1/7"] == mode
    assert values.get(f"{mode}-L1/7") == (None if mode == "ablate" else value)
    words_of = {"last": "last token", "prompt": "all tokens", "generated": "generated", "always": "always on"}
    assert values["where-L1/7"] == words_of.get(where, "chosen positions")
    assert values.get("positions-L1/7") == (list(where) if isinstance(where, tuple) else None)


ONE = Intervention(layer=1, feature=7, mode="add", value=1.0, where="last")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ((Vector(layer=0, direction=(1.0,), value=1.0),), "a direction"),
        ((ONE, ONE), "one feature twice"),
        (
            tuple(Intervention(layer=0, feature=k, mode="add", value=0.5) for k in range(13)),
            "turns 13 features",
        ),
        (
            (Intervention(layer=0, feature=1, mode="patch", value=0.5),),
            "L0/1 takes its values from elsewhere",
        ),
        ((Intervention(layer=0, feature=1, mode="set", value=(1.0,), where=(2,)),), "from elsewhere"),
        ((Intervention(layer=0, feature=1, mode="set", value=-1.0),), "beyond its slider, 0 to 4"),
    ],
)
def test_what_no_slider_shows_is_told(setting, message) -> None:
    with pytest.raises(NotShownError, match=message):
        widget_values(setting, lambda layer, index: 1.0)
