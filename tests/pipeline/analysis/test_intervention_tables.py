"""Tables of trials: every number against one made by hand, and what is planted is found."""

from itertools import product

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp
from scipy.stats import false_discovery_control

from pipeline.analysis.intervention_cells import cells, relative_effect
from pipeline.analysis.intervention_predictions import predictions
from pipeline.analysis.intervention_tables import INACTIVE, intervention_groups, predicted_effects
from pipeline.analysis.trials import Trial
from store.schema.interventions import INTERVENTIONS
from store.schema.vocabulary import (
    ABLATION,
    DOSE_RESPONSE,
    FROZEN,
    INHIBITION,
    PREDICTING,
    TOGETHER,
    TRANSFER,
)
from tests.support.tried import FEATURES, FOCUS, PARAMS, VARIANTS, make_scores, make_tried, one_tried

TRIALS, TRIED = make_tried(8)
N = len(TRIALS)


def groups(tried=TRIED, scores=None):
    predicted = predicted_effects(tried, TRIALS, FOCUS, scores or make_scores(TRIED))
    return intervention_groups(tried, TRIALS, FOCUS, predicted, PARAMS, 0)


def test_cells_are_those_of_single_rows() -> None:
    """In the whole distribution, of which two tokens at the end stand for all others."""
    table = cells(TRIED, VARIANTS, PARAMS)
    for column, one in enumerate(TRIED):
        evil, safe = one.weights > 0, one.weights < 0
        width = len(one.tokens)
        assert table["token"].values[column].tolist() == [*one.tokens, *[-1] * (5 - width)]
        assert table["evil"].values[column, :width].tolist() == evil.tolist()
        for half, variant in enumerate(VARIANTS):
            arrays = one.arrays[variant]
            for row in (0, 7, N - 1):
                at = {"trial": half * N + row, "prompt": column}
                cell = table.isel(at)
                before = arrays["baseline"].astype(float)
                after = before + arrays["effect"][row]
                margins = [each[evil].mean() - each[safe].mean() for each in (before, after)]
                assert float(cell["baseline"]) == pytest.approx(margins[0])
                assert float(cell["intervened"]) == pytest.approx(margins[1])
                assert float(cell["effect"]) == pytest.approx(margins[1] - margins[0])
                assert bool(cell["flip"]) == (np.sign(margins[0]) != np.sign(margins[1]))
                mass = 4.0 + np.array([0.0, arrays["effect_mass"][row]])
                mine = [each - m for each, m in zip((before, after), mass, strict=True)]
                change = logsumexp(mine[1][evil]) - logsumexp(mine[0][evil])
                assert float(cell["effect_log_probability"]) == pytest.approx(change)
                for name, each in zip(("before", "after"), mine, strict=True):
                    found = cell[f"log_probability_{name}"].values
                    np.testing.assert_allclose(found[:width], each, atol=1e-6)
                    assert np.isnan(found[width:]).all()
                assert cell["rank_after"].values.tolist() == [*arrays["rank"][row], *[-1] * (5 - width)]
                controls = arrays["controls"][row]
                of = controls[:, evil].mean(axis=1) - controls[:, safe].mean(axis=1)
                np.testing.assert_allclose(cell["control_effect"].values, of, atol=1e-6)
                as_large = (np.abs(of) >= abs(margins[1] - margins[0])).sum()
                assert float(cell["p"]) == pytest.approx((1 + as_large) / 6)


def test_log_probabilities_are_a_softmaxs() -> None:
    logits = np.random.default_rng(2).normal(size=40)
    np.testing.assert_allclose(logits - logsumexp(logits), log_softmax(logits))


def test_of_a_small_baseline_no_share_is_told() -> None:
    found = relative_effect(np.array([1.0, -1.0, 1.0]), np.array([-2.0, 0.05, 0.1]), 0.1)
    np.testing.assert_allclose(found, [0.5, np.nan, 10.0])


def test_trials_are_means_over_situations_and_tested_twice() -> None:
    found = groups()
    table, cell = found["trials"], found["cells"]
    assert {name: set(map(str, each.variables)) for name, each in found.items()} == {
        name: set(specs) for name, specs in INTERVENTIONS.groups.items()
    }
    np.testing.assert_allclose(table["effect"], cell["effect"].mean("prompt"))
    np.testing.assert_allclose(table["flips"], cell["flip"].mean("prompt"))
    assert (table["low"] < table["effect"]).all()
    assert (table["effect"] < table["high"]).all()
    assert (table["n_situations"] == len(TRIED)).all()
    p = table["p_labels"].values
    for experiment in set(table["experiment"].values):
        rows = table["experiment"].values == experiment
        np.testing.assert_allclose(table["q"].values[rows], false_discovery_control(p[rows]))
    assert (table["variant"].values[:N] == "base").all()
    assert (table["variant"].values[N:] == FOCUS).all()


def test_what_is_planted_acts_and_what_any_feature_or_token_does_does_not() -> None:
    """Three features: one harms everywhere; one like its controls; one raises tokens whatever they mean."""
    _, tried = make_tried(24, seed=3)
    rows = [row for row, trial in enumerate(TRIALS) if trial.experiment == ABLATION]
    for one, variant in product(tried, VARIANTS):
        arrays, evil = one.arrays[variant], one.weights > 0
        noise = np.random.default_rng(int(one.prompt, 16)).normal(size=arrays["effect"].shape)
        arrays["effect"][:] = 0.01 * noise
        does = {
            FEATURES[0]: np.where(evil, -1.0, 1.0),
            FEATURES[1]: 0.05 * np.where(evil, -1.0, 1.0),
            FEATURES[2]: np.where(one.tokens % 10 == 2, 1.0, 0.0),
        }
        for row in rows:
            arrays["effect"][row] += does[TRIALS[row].features[0]]
    table = groups(tried, make_scores(tried))["trials"]
    mine = table.isel(trial=[N + row for row in rows])
    by_feature = {index: mine.isel(trial=mine["index"].values == index) for _, index in FEATURES}
    assert (by_feature[7]["verdict"] == "acts").all()
    assert not (by_feature[3]["verdict"] == "acts").any()
    assert (by_feature[3]["p_controls"] > 0.05).all()
    assert not (by_feature[5]["verdict"] == "acts").any()
    assert (by_feature[5]["p_labels"] > 0.05).all()
    assert (by_feature[5]["p_controls"] < 0.05).all()


def test_each_prompt_is_tested_by_its_own_labels() -> None:
    """A token is evil on one prompt and safe on another: the effect follows the labels, and so does p."""
    rng, tokens = np.random.default_rng(2), np.arange(10, 15)
    tried = []
    for number in range(8):
        evil = np.isin(np.arange(5), [0, 1, 2] if number % 4 < 2 else [3, 4])
        weights = np.where(evil, 1 / evil.sum(), -1 / (~evil).sum())
        one = one_tried(number, N, rng, tokens=tokens, weights=weights)
        one.arrays[FOCUS]["effect"][0] = np.where(evil, -1.0, 1.0)
        tried.append(one)
    table = groups(tried, make_scores(tried))["trials"].isel(trial=N)
    assert float(table["effect"]) == pytest.approx(-2.0)
    assert float(table["p_labels"]) < 0.02


def test_what_acts_nowhere_is_inactive_and_small_effects_are_silent() -> None:
    _, tried = make_tried(8, seed=4)
    for one in tried:
        arrays = one.arrays["base"]
        arrays["effect"][:2], arrays["effect_mass"][:2] = 0.0, 0.0
        arrays["n_positions"][0] = 0
        arrays["controls"][0], arrays["control_index"][0] = np.nan, -1
        arrays["effect"][1] = 1e-4 * np.random.default_rng(1).normal(size=arrays["effect"].shape[1])
    table = groups(tried, make_scores(tried))["trials"]
    assert table["verdict"].values[:2].tolist() == [INACTIVE, "silent"]
    assert np.isnan(table["p_controls"].values[0])
    assert np.isnan(table["q"].values[0])


def test_what_is_in_one_situation_alone_does_not_act() -> None:
    """Its interval is not known, whatever labels and controls say."""
    _, tried = make_tried(24, seed=3)
    for number, one in enumerate(tried):
        arrays = one.arrays[FOCUS]
        arrays["effect"][0] = np.where(one.weights > 0, -100.0, 100.0) * (number == 0)
    table = groups(tried, make_scores(tried))["trials"].isel(trial=N)
    assert float(table["p_controls"]) < 0.05
    assert not float(table["high"]) < 0
    assert table["verdict"] == "unclear"


def test_predictions_are_multiples_of_scores() -> None:
    scores = make_scores(TRIED)
    situations = sorted(one.situation for one in TRIED)
    names = [trial.experiment for trial in TRIALS]
    for variant, sign in (("base", 1.0), (FOCUS, -1.0)):
        found = predictions(TRIALS, variant, FOCUS, scores, situations)
        for column, score in enumerate(PREDICTING):
            table = scores["situations" if score == "direct" else f"situations_{score}"]
            contrast = f"{FOCUS}-base" if score == "change" else f"evil-safe|{variant}"
            row = [str(name) for name in table["contrast"].values].index(contrast)
            places = [list(table["situation"].values).index(about) for _, about in situations]
            effect = table["effect"].values[row][places]  # (situation, feature)
            times = {ABLATION: -1.0, INHIBITION: -1.0 - PARAMS.inhibition, DOSE_RESPONSE: 4.0}
            if score == "change":
                times = {TRANSFER: sign}
            for experiment in set(names):
                at = names.index(experiment)
                if experiment in times:
                    np.testing.assert_allclose(found[at, column], times[experiment] * effect[:, 1])
                elif experiment == TOGETHER and score != "change":
                    np.testing.assert_allclose(found[at, column], -effect[:, 1] - effect[:, 2], rtol=1e-5)
                else:
                    assert np.isnan(found[at, column]).all()
    unknown = Trial(experiment=ABLATION, features=((5, 5),))
    assert np.isnan(predictions([unknown], "base", FOCUS, scores, situations)).all()


def test_agreement_says_what_is_left_of_a_prediction() -> None:
    """Half of it free, all of it with everything frozen, and the other way with norms frozen."""
    _, tried = make_tried(8, seed=5)
    scores = make_scores(tried)
    left = dict(zip(FROZEN, (0.5, -1.0, 0.0, 2.0, 1.0), strict=True))
    situations = [one.situation for one in tried]
    for variant in VARIANTS:
        wanted = predictions(TRIALS, variant, FOCUS, scores, situations)[:, PREDICTING.index("direct")]
        for column, one in enumerate(tried):
            evil = one.weights > 0
            for row, trial in enumerate(TRIALS):
                if trial.experiment == ABLATION:
                    value = left[trial.frozen] * wanted[row, column]
                    one.arrays[variant]["effect"][row] = np.where(evil, value, 0.0)
    lines = groups(tried, scores)["agreement"].to_dataframe()
    lines = lines[(lines["score"] == "direct") & (lines["experiment"] == ABLATION)]
    assert len(lines) == len(VARIANTS) * len(FROZEN)
    for line in lines.itertuples():
        assert line.slope == pytest.approx(left[line.frozen], abs=1e-5)
        assert line.n_cells == len(FEATURES) * len(tried)
        if left[line.frozen]:
            assert line.spearman == pytest.approx(np.sign(left[line.frozen]), abs=1e-3)
            assert line.same_sign == float(left[line.frozen] > 0)
        # Where all situations agree there is no interval.
        assert not line.low > line.slope + 1e-5
        assert not line.high < line.slope - 1e-5
