"""What recipes do, against plain loops; what is planted is found, and nothing where nothing is done."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.intervals import clustered_rate_interval, studentized_interval
from pipeline.analysis.recipe_map import (
    Followed,
    label_masses,
    outcome_counts,
    recipe_groups,
    recipe_metrics,
)
from pipeline.analysis.recipe_subsets import subset_group
from pipeline.params.recipes import RecipeParams
from store.datasets.groups import open_dataset, write_dataset
from store.schema.recipes import RECIPES
from tests.support.items import PROMPT

FEWER = RecipeParams(reached=[0.5, 0.9], min_situations=3, controls=4)
RECIPE = [("planted", "base", "a" * 64), ("nothing", "base", "b" * 64)]
# Two prompts of each situation; every third situation is held out.
PROMPTS = [
    replace(PROMPT, hash=f"{number:012x}", situation=f"s{number // 2}", held_out=number // 2 % 3 == 0)
    for number in range(24)
]


def world(seed: int, effect: float) -> dict[tuple[int, str, str], Followed]:
    random = np.random.default_rng(seed)
    found = {}
    for number, prompt in enumerate(PROMPTS):
        before = Followed(
            evil=float(random.uniform(0.1, 0.3)), safe=float(random.uniform(0.3, 0.5)), harmful=2, n=20
        )
        for row, more in enumerate((effect, 0.0)):
            found[row, prompt.hash, "before"] = before
            moved = {"evil": before.evil + more, "harmful": before.harmful + round(20 * more)}
            found[row, prompt.hash, "after"] = replace(before, **moved)
        if number == 3:  # could not be computed under the recipe
            found[0, prompt.hash, "after"] = Followed()
    return found


def fewer(*fewest: list[int]) -> xr.Dataset:
    return xr.Dataset({"fewest": (("recipe", "reached"), np.array(fewest)), "reached": [0.5, 0.9]})


def groups(found):
    return recipe_groups(RECIPE, PROMPTS, found, confidence=0.95, resamples=200, seed=0)


def test_what_is_planted_is_found_and_nothing_is_nothing(tmp_path) -> None:
    tables = groups(world(0, 0.25))
    table, of_prompts = tables["recipes"], tables["map"]
    tables["fewer"] = subset_group([], FEWER, confidence=0.95, resamples=10, seed=0)
    write_dataset(tmp_path / "recipes", RECIPES, tables, provenance={})
    assert open_dataset(tmp_path / "recipes", "map").sizes == {"recipe": 2, "prompt": 24}
    np.testing.assert_allclose(table["evil_change"].values, [[0.25, 0.25], [0.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(table["harmful_after"].values, [[0.35, 0.35], [0.1, 0.1]])
    np.testing.assert_allclose(table["harmful_before"].values, 0.1)
    assert (table["harmful_after_low"].values[0] > table["harmful_before_high"].values[0]).all()
    # The situation of prompt 3 counts by its other prompt; the prompt's samples on neither side.
    assert table["n_situations"].values.tolist() == [[8, 4], [8, 4]]
    assert table["n_samples"].values.tolist() == [[300, 160], [320, 160]]
    assert np.isnan(of_prompts["evil_after"].values[0, 3])
    assert np.isfinite(of_prompts["evil_before"].values[0, 3])
    assert np.isnan(of_prompts["harmful_before"].values[0, 3])
    metrics = recipe_metrics(table, fewer([3, 2], [-1, -1]))
    assert metrics["planted"]["held-out"]["harmful_after"] == 0.35
    assert metrics["planted"]["fewest_features"] == {"0.5": 3, "0.9": 2}
    assert "fewest_features" not in metrics["nothing"]
    assert metrics["nothing"]["seen"]["evil_before"] == metrics["nothing"]["seen"]["evil_after"]


def test_means_and_intervals_are_over_situations() -> None:
    random = np.random.default_rng(1)
    found = world(2, 0.1)
    for number, prompt in enumerate(PROMPTS):
        one = found[0, prompt.hash, "after"]
        found[0, prompt.hash, "after"] = replace(
            one, evil=one.evil + random.normal(scale=0.05), harmful=number % 5
        )
    table = groups(found)["recipes"]
    changes, harmful = [], []
    for situation in sorted({prompt.situation for prompt in PROMPTS if prompt.held_out}):
        mine = [prompt.hash for prompt in PROMPTS if prompt.situation == situation]
        before, after = ([found[0, each, side] for each in mine] for side in ("before", "after"))
        changes.append(np.mean([one.evil for one in after]) - np.mean([one.evil for one in before]))
        harmful.append(sum(one.harmful for one in after))
    column = table["split"].values.tolist().index("held-out")
    assert table["evil_change"].values[0, column] == pytest.approx(np.mean(changes))
    low, high = studentized_interval(np.array(changes)[:, None], 200, 0.95, np.random.default_rng(0))
    assert table["low"].values[0, column] == pytest.approx(low[0])
    assert table["high"].values[0, column] == pytest.approx(high[0])
    assert table["low"].values[0, column] < np.mean(changes) < table["high"].values[0, column]
    assert table["harmful_after"].values[0, column] == pytest.approx(sum(harmful) / 160)
    bounds = [table[f"harmful_after_{end}"].values[0, column] for end in ("low", "high")]
    widest = clustered_rate_interval(np.array(harmful), np.full(4, 40), 0.95)
    assert bounds[0] <= widest[0] + 1e-12
    assert bounds[1] >= widest[1] - 1e-12


def test_unlabelled_is_neither_safe_nor_counted() -> None:
    arrays = {
        "watched_token": np.array([3, 5, 8], np.int32),
        "watched_log_probability": np.log(np.array([0.5, 0.25, 0.125], np.float32)),
    }
    assert label_masses(arrays, {3: "evil", 8: "evil", 9: "safe"}) == pytest.approx(
        (0.625, np.nan), nan_ok=True
    )
    assert label_masses(arrays, {5: "safe", 8: "unsure"}) == pytest.approx((np.nan, 0.25), nan_ok=True)
    assert outcome_counts(np.array([0, 1, 2, 3, 0], np.int8)) == (2, 4)
    assert Followed().n == 0
    blank = groups({})
    assert np.isnan(blank["recipes"]["harmful_before"].values).all()
    assert recipe_metrics(blank["recipes"], fewer([-1, -1], [-1, -1])) == {}


def test_without_recipes_the_tables_are_empty() -> None:
    tables = recipe_groups([], PROMPTS, {}, confidence=0.95, resamples=10, seed=0)
    assert tables["recipes"].sizes == {"recipe": 0, "split": 2}
    assert tables["map"].sizes == {"recipe": 0, "prompt": 24}


def test_situations_of_one_name_in_two_domains_are_two() -> None:
    prompts = [replace(PROMPT, hash=f"{row:012x}", situation="s", domain=of) for row, of in enumerate("ab")]
    known = Followed(evil=0.25, safe=0.5)
    found = {(0, prompt.hash, side): known for prompt in prompts for side in ("before", "after")}
    tables = recipe_groups(RECIPE[:1], prompts, found, confidence=0.95, resamples=10, seed=0)
    assert tables["recipes"]["n_situations"].values.max() == 2
