"""Labels with errors: what is planted stays first, the rest of the ranking gives way with the error."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pytest
import xarray as xr

from pipeline.params.project import load_params
from pipeline.text.lexicon import TokenLabel
from pipeline.text.token_labels import TokenLabels
from tests.support.label_worlds import Given, World, resolved_labels
from tests.support.labellers import erring, misread
from tests.support.noisy_rankings import AIMED, FEATURES, Likeness, aimed_world, likeness
from tests.support.places import ROOT

ERRORS: Final = (0.0, 0.1, 0.2, 0.3)
PARAMS: Final = load_params(ROOT / "params.yaml").features.model_copy(
    # As few as let one feature of two hundred be found.
    update={"labellings": 5000, "permutations": 100, "bootstrap": 20}
)
QUICK: Final = PARAMS.model_copy(update={"labellings": 20})


@pytest.fixture(scope="module")
def world() -> World:
    return aimed_world(0)


@pytest.fixture(scope="module")
def reference(world: World) -> xr.Dataset:
    return world.ranking(TokenLabels(counted=world.given()), PARAMS)


def asked(world: World, origin: str, said: Given) -> TokenLabels:
    """What counts where one judge, or one person, says it, and no lexicon knows better."""
    if origin == "judge":
        return resolved_labels(world.prompts, judges={"gpt": said}, people={})
    return resolved_labels(world.prompts, people={"Ada": said})


@pytest.mark.parametrize("origin", ["judge", "human"])
def test_true_labels_rank_alike_whoever_gives_them(world: World, reference: xr.Dataset, origin: str) -> None:
    xr.testing.assert_identical(world.ranking(asked(world, origin, world.given()), PARAMS), reference)
    assert int(np.abs(reference["effect"].values).argmax()) == AIMED
    assert reference["found"].values[AIMED]
    assert reference.sizes["feature"] == FEATURES


@pytest.mark.parametrize("origin", ["judge", "human"])
@pytest.mark.parametrize("unsure", [0.0, 0.1])
def test_the_aimed_feature_is_first_by_labels_with_a_fifth_of_errors(
    world: World, reference: xr.Dataset, origin: str, unsure: float
) -> None:
    """Who errs on each prompt anew; one in ten left open, or none."""
    for seed in range(3):
        said = misread(world.given(), erring(0.2, unsure), np.random.default_rng(seed))
        assert likeness(world, reference, asked(world, origin, said), QUICK).first


def test_errors_cost_findings_before_they_cost_the_first_place(world: World, reference: xr.Dataset) -> None:
    """With a tenth of errors the aimed feature is found; with three tenths it is first, and not found."""
    for error, found in ((0.1, True), (0.3, False)):
        said = misread(world.given(), erring(error), np.random.default_rng(0))
        seen = likeness(world, reference, asked(world, "judge", said), PARAMS)
        assert (seen.first, seen.found) == (True, found)


def curve(kind: str) -> list[list[Likeness]]:
    """By error: six labellers, each on a world of their own. `once`: their errors repeat on all prompts."""
    found: list[list[Likeness]] = [[] for _ in ERRORS]
    for seed in range(6):
        world = aimed_world(seed)
        reference = world.ranking(TokenLabels(counted=world.given()), QUICK)
        for row, error in enumerate(ERRORS):
            given = erring(0.0, error) if kind == "unsure" else erring(error)
            said = misread(world.given(), given, np.random.default_rng([seed, 1]), once=kind == "once")
            found[row].append(likeness(world, reference, asked(world, "judge", said), QUICK))
    return found


@pytest.mark.parametrize("kind", ["each", "once", "unsure"])
def test_the_ranking_gives_way_with_the_error(kind: str) -> None:
    found = curve(kind)
    for measure in ("spearman", "top"):
        means = [float(np.mean([getattr(each, measure) for each in of])) for of in found]
        assert means[0] == 1
        assert all(np.diff(means) <= 0), (measure, means)
        assert means[-1] < means[0]
    if kind == "each":
        assert all(each.first for each in found[ERRORS.index(0.2)])


def test_labels_by_chance_say_nothing_of_the_ranking(world: World, reference: xr.Dataset) -> None:
    found = [
        likeness(world, reference, asked(world, "judge", misread(world.given(), erring(0.5), rng)), QUICK)
        for rng in map(np.random.default_rng, range(6))
    ]
    assert sum(each.first for each in found) <= 1


def test_a_labeller_errs_at_the_rates_that_are_asked_for() -> None:
    truth: Mapping[str, Mapping[int, TokenLabel]] = {
        f"{prompt}": {token: "evil" if token < 20 else "safe" for token in range(40)} for prompt in range(500)
    }
    said = misread(truth, erring(0.2, 0.1), np.random.default_rng(0))
    for of in (range(20), range(20, 40)):
        labels = [said[prompt][token] for prompt in truth for token in of]
        right = "evil" if of[0] == 0 else "safe"
        assert labels.count(right) / len(labels) == pytest.approx(0.7, abs=0.02)
        assert labels.count("unsure") / len(labels) == pytest.approx(0.1, abs=0.02)
    repeated = misread(truth, erring(0.2, 0.1), np.random.default_rng(0), once=True)
    assert all(of == repeated["0"] for of in repeated.values())
    assert misread(truth, erring(0.0), np.random.default_rng(0)) == truth
