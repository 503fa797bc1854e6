"""Trials on a behaviour: means over groups, who is left out, what acts, and what a null circuit does."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.analysis.behaviour_trials import WHOLE, Effects, make_asked, trial_tables
from pipeline.analysis.partners import UNEQUAL, Decision
from pipeline.params.project import load_params
from store.schema.vocabulary import ABLATION, INHIBITION, PATCHING
from tests.support.behaviours import make_prompt
from tests.support.partnered import effect_arrays

PARAMS = load_params().behaviour_interventions.model_copy(
    update={"features": 2, "bootstrap": 200, "flips": 2000, "controls": 20}
)
N_LAYERS = 2
OWN, OTHER = [(0, 3), (1, 4), (1, 9)], [(1, 4), (0, 8), (0, 6)]
ASKED = make_asked(OWN, "recall", OTHER, "agreement", PARAMS)


def make_effects(number: int, rng: np.random.Generator, *, unpaired: str = "") -> Effects:
    """The first own feature lowers the contrast from 3 by 4 when ablated, the second is inactive then."""
    prompt = make_prompt(number, group=f"noun {number // 2}")
    decision = Decision(
        prompt=prompt, token_ids=prompt.token_ids, tokens=(7, 8), source=(1, 5, 9), unpaired=unpaired
    )
    n = len(ASKED.trials)
    arrays = effect_arrays(rng, n, N_LAYERS * len(ASKED.whole), PARAMS.controls)
    return Effects(row=10 + number, decision=decision, arrays=arrays)


def tables(found: Sequence[Effects]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    return trial_tables("agreement", ASKED, found, N_LAYERS, PARAMS)


def test_the_first_features_are_tried_in_every_way_and_a_null_is_ablated() -> None:
    said = [
        (one.experiment, one.features[0], of) for one, of in zip(ASKED.trials, ASKED.circuits, strict=True)
    ]
    assert said == [
        *((name, (0, 3), "agreement") for name in (ABLATION, INHIBITION, PATCHING)),
        *((name, (1, 4), "agreement") for name in (ABLATION, INHIBITION, PATCHING)),
        # What both circuits have is no null.
        (ABLATION, (0, 8), "recall"),
        (ABLATION, (0, 6), "recall"),
    ]
    assert [one.value for one in ASKED.trials[:3]] == [None, PARAMS.inhibition, None]
    assert [one.experiment for one in ASKED.whole] == [ABLATION, INHIBITION, PATCHING]


def test_effects_are_intervened_minus_baseline_over_groups() -> None:
    rng = np.random.default_rng(0)
    found = [make_effects(number, rng) for number in range(3)]  # two of the first noun, one of the second
    table, cells = tables(found)
    logits = np.array([one.arrays["effect"][0] for one in found], np.float64)
    change = logits[:, 0] - logits[:, 1]
    assert table["effect"][0] == pytest.approx((change[:2].mean() + change[2]) / 2)
    right = logits[:, 0] - 0.25
    assert table["effect_log_probability"][0] == pytest.approx((right[:2].mean() + right[2]) / 2)
    assert table["baseline"][0] == pytest.approx(3.0)
    mine = cells["trial"] == 0
    np.testing.assert_allclose(cells["effect"][mine], change)
    np.testing.assert_allclose(cells["intervened"][mine], 3.0 + change)
    np.testing.assert_allclose(cells["relative"][mine], change / 3.0)
    assert cells["prompt"][mine].tolist() == [10, 11, 12]
    assert cells["flip"][mine].tolist() == (3.0 + change < 0).tolist()
    assert table["flips"][0] == pytest.approx(np.mean(3.0 + change < 0))
    assert table["n_groups"][0] == 2
    assert table["layer"].tolist()[-6:] == [0, 0, 0, 1, 1, 1]
    assert (table["index"][-6:] == WHOLE).all()
    assert table["index"][: len(ASKED.trials)].tolist() == [3, 3, 3, 4, 4, 4, 8, 6]
    assert cells["rank_before"][mine].tolist() == [[1, 5]] * 3


def test_the_planted_feature_acts_and_nothing_else_does() -> None:
    rng = np.random.default_rng(1)
    table, _ = tables([make_effects(number, rng) for number in range(40)])
    assert table["verdict"][0] == "acts"
    assert table["effect"][0] == pytest.approx(-4.0, abs=0.4)
    assert table["q"][0] <= PARAMS.fdr
    # The null circuit's ablations, and what is inactive, are not of its family.
    assert table["q"][0] == table["p"][0]
    assert table["p_controls"][0] == pytest.approx(1 / 21)
    assert table["verdict"][3] == "inactive"
    assert np.isnan(table["q"][3])
    assert (table["verdict"][[1, 2, 4, 5, 6, 7]] != "acts").all()
    assert abs(table["control_mean"][0]) < 0.1
    assert np.isnan(table["control_mean"][-1])


def test_what_any_like_feature_does_is_not_this_ones_doing() -> None:
    rng = np.random.default_rng(2)
    found = [make_effects(number, rng) for number in range(40)]
    for one in found:
        one.arrays["controls"][0] += [-2.5, 1.5]  # type: ignore[index]
    table, _ = tables(found)
    assert table["q"][0] <= PARAMS.fdr
    assert table["verdict"][0] == "unclear"


def test_controls_are_averaged_over_the_groups_of_the_effect() -> None:
    """Where the feature is inactive its effect is 0, and so is that of what is like it."""
    rng = np.random.default_rng(4)
    found = [make_effects(number, rng) for number in range(6)]
    for one in found[2:]:  # all but the first noun
        one.arrays["n_positions"][0] = 0
        one.arrays["effect"][0] = 0.0
        one.arrays["controls"][0] = np.nan
    for one in found[:2]:
        one.arrays["controls"][0] = [-1.0, 2.0]
    table, _ = tables(found)
    assert table["control_mean"][0] == pytest.approx(-3.0 / 3)
    assert table["n_acting"][0] == 2


def test_patching_leaves_out_unpaired_prompts_and_counts_them() -> None:
    rng = np.random.default_rng(3)
    found = [make_effects(number, rng, unpaired=UNEQUAL if number < 6 else "") for number in range(10)]
    table, cells = tables(found)
    patched = table["experiment"] == PATCHING
    assert set(table["n_prompts"][patched]) == {4}
    assert set(table["n_unpaired"][patched]) == {6}
    assert set(table["n_prompts"][~patched]) == {10}
    assert set(table["n_unpaired"][~patched]) == {0}
    of = np.isin(cells["trial"], np.flatnonzero(patched))
    assert set(cells["prompt"][of]) == {16, 17, 18, 19}
    none, _ = tables([make_effects(number, rng, unpaired=UNEQUAL) for number in range(4)])
    assert np.isnan(none["effect"][none["experiment"] == PATCHING]).all()
    assert (none["verdict"][none["experiment"] == PATCHING] == "inactive").all()


def test_with_few_groups_no_p_is_small_whatever_the_effect() -> None:
    rng = np.random.default_rng(4)
    table, _ = tables([make_effects(number, rng) for number in range(8)])  # four nouns
    assert table["p"][0] == pytest.approx(2 / 16)
    assert table["verdict"][0] == "unclear"
