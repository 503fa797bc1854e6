"""Prompts that weigh by their pivotality: planted truth, weights that say nothing, prompts without one."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.pivotal_weights import prompt_weights, weighed
from store.documents.prompts import Prompt
from tests.support.feature_builders import PARAMS, make_prompt
from tests.support.ranked import ADAPTED, cell, make_scores, rank

FEW = PARAMS.model_copy(update={"permutations": 400, "labellings": 400, "bootstrap": 100})
PROMPTS = [make_prompt(number) for number in range(20)]
CONTRAST = "evil-safe|base"


def of_prompts(prompts: list[Prompt], difference: list[float]) -> xr.Dataset:
    """The group `prompts` of the PIVOTALITY dataset, as far as it is read; base says the reverse."""
    values = np.array([[-each for each in difference], difference])
    return xr.Dataset(
        {"difference": (("variant", "prompt"), values)},
        coords={
            "variant": np.array(["base", ADAPTED], object),
            "prompt": np.array([prompt.hash for prompt in prompts], object),
        },
    )


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8))
def test_weights_are_shares_of_harm_and_one_in_the_mean(difference: list[float]) -> None:
    found = prompt_weights(of_prompts(PROMPTS[: len(difference)], difference), ADAPTED)
    weights = np.array([found[prompt.hash] for prompt in PROMPTS[: len(difference)]])
    raised = np.maximum(difference, 0)
    if raised.max() <= 1e-300:
        assert not weights.any()
        return
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(weights * raised.mean(), raised)


def test_what_is_not_told_has_no_weight() -> None:
    found = prompt_weights(of_prompts(PROMPTS[:3], [0.5, np.nan, 1.0]), ADAPTED)
    assert found == {PROMPTS[0].hash: pytest.approx(2 / 3), PROMPTS[2].hash: pytest.approx(4 / 3)}
    assert prompt_weights(of_prompts([], []), ADAPTED) == {}


def test_features_of_prompts_that_decide_come_first() -> None:
    """Feature 1 acts where the next token decides, feature 2 more strongly, and where it does not."""
    rng = np.random.default_rng(0)
    decides = np.arange(20) % 2 == 0
    scores = [
        make_scores(prompt, "base", {(0, 1): 1.0 * of, (0, 2): 1.5 * (1 - of), (0, 3): 0.2}, rng=rng)
        for prompt, of in zip(PROMPTS, decides, strict=True)
    ]
    weights = prompt_weights(of_prompts(PROMPTS, np.where(decides, 0.9, 0.1).tolist()), ADAPTED)
    alike, _ = rank(scores, PROMPTS, FEW)
    table, by_situation = rank(weighed(scores, weights), PROMPTS, FEW)
    effects = [[cell(of, "effect", CONTRAST, "all", 0, f) for f in (1, 2, 3)] for of in (alike, table)]
    np.testing.assert_allclose(effects[0], [0.5, 0.75, 0.2], rtol=1e-5)
    np.testing.assert_allclose(effects[1], [0.9, 0.15, 0.2], rtol=1e-5)
    assert cell(table, "found", CONTRAST, "all", 0, 1)
    mean = np.nanmean(by_situation["effect"].values[0], axis=0)
    np.testing.assert_allclose(mean, effects[1], rtol=1e-5)


def test_weights_of_one_change_no_bit_and_none_is_asked_for() -> None:
    scores = [
        make_scores(p, "base", {(0, 1): 1.0 + n}, rng=np.random.default_rng(n)) for n, p in enumerate(PROMPTS)
    ]
    alike = rank(scores, PROMPTS, FEW)[0]
    ones = {prompt.hash: 1.0 for prompt in PROMPTS}
    xr.testing.assert_identical(rank(weighed(scores, ones), PROMPTS, FEW)[0], alike)
    assert weighed(scores, None) == scores


def test_a_prompt_without_a_weight_is_left_out_and_counted() -> None:
    scores = [make_scores(prompt, "base", {(0, 1): 1.0}) for prompt in PROMPTS]
    known = {prompt.hash: 1.0 for prompt in PROMPTS[1:]}
    table, _ = rank(weighed(scores, known), PROMPTS, FEW)
    alone, _ = rank(scores[1:], PROMPTS, FEW)
    assert table["n_scored"].values.tolist() == alone["n_scored"].values.tolist()
    assert table["n_left_out"].values[0, 0] == 1
    for name in ("effect", "p", "p_labels", "q", "low", "n_situations"):
        np.testing.assert_array_equal(table[name].values, alone[name].values)


def test_signs_that_say_nothing_are_no_finding_whatever_prompts_weigh() -> None:
    """300 features whose effects are noise: a tenth have a p of at most a tenth, by either test."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(20, 300))
    scores = [
        make_scores(p, "base", {(0, f): float(values[n, f]) for f in range(300)}, rng=rng)
        for n, p in enumerate(PROMPTS)
    ]
    weights = prompt_weights(of_prompts(PROMPTS, rng.random(20).tolist()), ADAPTED)
    table, _ = rank(weighed(scores, weights), [replace(p, domain="medical") for p in PROMPTS], FEW)
    p = table["p"].values[0, 0]
    assert 0.05 < (p <= 0.1).mean() < 0.16
