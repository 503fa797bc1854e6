"""F(k) of circuits and what parts carry at the span: by hand, planted, and where nothing can be told."""

from typing import Any

import numpy as np
import pytest

from pipeline.analysis.circuit_faithfulness import NO_CHANGE, NO_PAIRS, Held, changes_of, curves, layer_shares
from pipeline.params.project import load_params
from store.schema.vocabulary import CIRCUIT_EXPERIMENTS, NECESSARY, REMOVED, SUFFICIENT
from tests.support.partnered import held_arrays, logits

PARAMS = load_params().behaviour_interventions.model_copy(
    update={"ks": [1, 2, 4], "bootstrap": 200, "min_groups": 3}
)
N_RANDOM = 9
SITES = 3


SHARES = np.array([[0.5, 0.75, 1.0], [0.0, 0.0, 0.0]])
"""The first circuit carries half, three quarters, all; the second nothing."""
PARTS = np.array([[1.0, 0.6, 1.0], [0.3, 0.1, 0.8], [0.2, 0.0, 0.7]])


def make_held(number: int, rng: np.random.Generator, **changes: Any) -> Held:
    return Held(group=f"group {number // 2}", arrays=held_arrays(rng, SHARES, PARTS, **changes))


def many(n: int = 12, **changes: Any) -> list[Held]:
    rng = np.random.default_rng(0)
    return [make_held(number, rng, **changes) for number in range(n)]


def test_shares_are_ratios_of_means_over_groups() -> None:
    """Two groups of one and of two prompts, all numbers by hand."""
    made = many(3, noise=0.0)

    def one(group: str, clean: float, partner: float, given: float, taken: float, ablated: float) -> Held:
        arrays = dict(made[0].arrays)
        arrays |= {"clean": logits(clean), "partnered": logits([partner])}
        for name, value in (("given", given), ("taken", taken), ("ablated", ablated)):
            arrays[name] = logits(np.full((2, 3), value))
        return Held(group=group, arrays=arrays)

    held = [
        one("a", 3.0, -1.0, 1.0, 2.0, 1.5),
        one("a", 1.0, -1.0, 0.0, 0.0, 1.0),
        one("b", 5.0, 1.0, 2.0, 5.0, -1.0),
    ]
    assert changes_of(held[0], SUFFICIENT)[0][0, 0] == pytest.approx(2.0)
    assert changes_of(held[0], NECESSARY)[0][0, 0] == pytest.approx(1.0)
    assert [float(changes_of(held[0], name)[1]) for name in CIRCUIT_EXPERIMENTS] == [4.0, 4.0, 3.0]
    found = curves(held, 1, PARAMS.model_copy(update={"min_groups": 2, "confidence": 0.2}))
    # Group a: (2 + 1) / 2 and b: 1, over (4 + 2) / 2 and 4; taken a: (1 + 1) / 2, b: 0; removed over clean.
    expected = {
        SUFFICIENT: (1.5 + 1.0) / (3.0 + 4.0),
        NECESSARY: (1.0 + 0.0) / 7.0,
        REMOVED: (0.75 + 6.0) / (2.0 + 5.0),
    }
    for row, name in enumerate(CIRCUIT_EXPERIMENTS):
        np.testing.assert_allclose(found["fraction"][row, 0], expected[name], rtol=1e-6)
        assert found["area"][row, 0] == pytest.approx(expected[name], rel=1e-6)
    assert found["change"].tolist() == pytest.approx([3.5, 3.5, 3.5])
    assert found["n_groups"].tolist() == [2, 2, 2]
    assert found["n_prompts"].tolist() == [3, 3, 3]


def test_the_planted_circuit_carries_and_a_null_is_as_random() -> None:
    found = curves(many(), 2, PARAMS)
    assert (found["reason"] == "").all()
    np.testing.assert_allclose(found["fraction"][:, 0], [[0.5, 0.75, 1.0]] * 3, atol=0.02)
    assert ((found["low"] < found["fraction"]) & (found["fraction"] < found["high"])).all()
    np.testing.assert_allclose(found["random_mean"], 0.1, atol=0.02)
    assert (found["random_low"] <= found["random_mean"]).all()
    assert (found["random_mean"] <= found["random_high"]).all()
    np.testing.assert_allclose(found["p_random"][:, 0], 1 / (1 + N_RANDOM))
    np.testing.assert_allclose(found["p_random"][:, 1], 1.0)
    assert (found["area"][:, 0] > found["area_random_high"]).all()


def test_unpaired_prompts_are_left_out_of_what_needs_a_partner() -> None:
    rng = np.random.default_rng(1)
    held = [make_held(number, rng, paired=number < 8) for number in range(16)]
    found = curves(held, 2, PARAMS)
    assert found["n_prompts"].tolist() == [8, 8, 16]
    assert found["n_groups"].tolist() == [4, 4, 8]
    none = curves([one for one in held if not one.paired], 2, PARAMS)
    assert none["reason"].tolist() == [NO_PAIRS, NO_PAIRS, ""]
    assert np.isnan(none["fraction"][:2]).all()
    assert np.isfinite(none["fraction"][2]).all()


def test_too_few_groups_and_no_change_are_said() -> None:
    found = curves(many(4), 2, PARAMS)
    assert found["reason"][0] == "2 groups are too few: behaviour_interventions.min_groups is 3"
    assert np.isnan(found["area"]).all()
    assert np.isfinite(found["change"]).all()
    same = [
        Held(group=one.group, arrays={**one.arrays, "partnered": one.arrays["clean"][None]})
        for one in many(noise=1.0)
    ]
    found = curves(same, 2, PARAMS)
    assert found["reason"].tolist() == [NO_CHANGE, NO_CHANGE, ""]
    assert curves([], 2, PARAMS)["reason"].tolist() == [NO_PAIRS] * 3


def test_parts_at_the_span_carry_their_share_of_change_and_flips() -> None:
    found = layer_shares(many(), SITES, PARAMS)
    expected = [*PARTS.tolist(), [0.05, 0.05, 0.05]]
    np.testing.assert_allclose(found["share"], expected, atol=1e-6)
    np.testing.assert_allclose(found["random_high"], 0.05, atol=1e-6)
    assert int(found["n_prompts"]) == int(found["n_flips"]) == 12
    # From 4 to -4: more than half of the way turns the sign.
    np.testing.assert_allclose(found["flips"], np.array(expected) > 0.5)
    assert np.isfinite(found["low"][0, 1])
    few = layer_shares(many(4), SITES, PARAMS)
    assert np.isnan(few["share"]).all()
    assert int(few["n_prompts"]) == 4
    assert int(layer_shares([], SITES, PARAMS)["n_prompts"]) == 0
