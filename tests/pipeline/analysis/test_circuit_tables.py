"""Tables of circuits: what was planted counts where base is right, and rows lie end to end."""

import numpy as np
import pytest

from pipeline.analysis.circuit_tables import TracedPrompt, circuit_groups, leading, traced_prompt
from pipeline.analysis.circuits import find_circuit, prompt_circuit
from store.format.validation import check_dataset
from store.schema.circuits import CIRCUITS
from tests.support.circuits import PARAMS, random_arrays

VARIANTS, BEHAVIOURS = ("base", "general@1.0"), ("addition", "recall")
TOKENS = np.array([9.0, 1.0, -0.5, 2.0, 0.25], np.float32)


def traced(
    decisive: list[int], attractors: list[int], logits: tuple[float, float] = (2.0, 1.0), **names: str
) -> TracedPrompt:
    rng = np.random.default_rng(0)
    total = rng.normal(size=30).astype(np.float32)
    arrays = {
        "token_total_effect": TOKENS,
        "target_logit": np.array(logits, np.float32),
        "total_effect": total,
        "gradient": np.abs(total) * 3,
        "gradient_contrast": -total,
    }
    where = {"prompt_hash": "0" * 12, "variant": "base", "behaviour": "recall", "split": "test"} | names
    return traced_prompt(arrays, decisive=decisive, attractors=attractors, **where)


def test_tokens_are_told_apart_and_the_first_counts_for_nothing() -> None:
    one = traced([1, 2], [3])
    assert (one.decisive, one.attractor, one.rest, one.contrast) == (0.5, 2.0, 0.25, 1.0)
    assert (one.gradient_rank, one.gradient_contrast_rank) == (pytest.approx(1), pytest.approx(-1))
    alone = traced([3], [])
    assert np.isnan(alone.attractor)
    assert alone.rest == 0.75


def test_groups_follow_the_schema_and_tell_what_was_planted() -> None:
    rng = np.random.default_rng(1)
    circuits = {
        (variant, behaviour): find_circuit(
            [prompt_circuit(random_arrays(rng), f"g{n}", 0.1) for n in range(6)], [], PARAMS, rng
        )
        for variant in VARIANTS
        for behaviour in BEHAVIOURS
    }
    prompts = [
        traced([3], [2], prompt_hash="1" * 12),  # leads
        traced([1], [3], prompt_hash="2" * 12),  # the right sign, behind the attractor
        traced([2], [], prompt_hash="3" * 12),  # the wrong sign
        traced([1], [], prompt_hash="4" * 12),  # leads: nothing could mislead
        traced([4], [2], prompt_hash="7" * 12),  # a stronger attractor, whatever its sign
        traced([3], [2], (1.0, 2.0), prompt_hash="5" * 12),  # base is wrong
        traced([3], [2], prompt_hash="6" * 12, split="train"),
        # Of an adapter on prompts that base gets right, whatever it does itself.
        traced([3], [2], (1.0, 2.0), prompt_hash="1" * 12, variant="general@1.0"),
        traced([3], [2], prompt_hash="5" * 12, variant="general@1.0"),
    ]
    n_edges = sum(len(each.edges.weight) for each in circuits.values())
    groups = circuit_groups(
        circuits,
        prompts,
        groups=dict.fromkeys(circuits, 6),
        passes={cell: cell[0] == "base" for cell in circuits},
        virtual_weights=np.arange(n_edges, dtype=np.float32),
        fdr=0.05,
    )
    check_dataset(groups, CIRCUITS)
    base = groups["summary"].sel(variant="base", behaviour="recall")
    assert (int(base["n_planted"]), int(base["n_test"]), int(base["n_train"])) == (5, 6, 1)
    assert (float(base["planted_sign"]), float(base["planted_leads"])) == (0.8, 0.4)
    general = groups["summary"].sel(variant="general@1.0", behaviour="recall")
    assert int(general["n_planted"]) == 1
    assert np.isnan(groups["summary"]["planted_sign"].sel(variant="base", behaviour="addition"))
    rows = groups["circuit"]
    cell = circuits["general@1.0", "addition"]
    here = (rows["variant"].values == "general@1.0") & (rows["behaviour"].values == "addition")
    np.testing.assert_allclose(rows["total_effect"].values[here], cell.columns["total_effect"])
    assert groups["edges"]["virtual_weight"].values.tolist() == list(range(n_edges))
    metrics = leading(groups["summary"])
    assert list(metrics) == ["recall"], "nothing of addition was traced"
    assert metrics["recall"]["base"] | {"n_features": 0, "n_found": 0} == {
        **{"passes": True, "n_train": 1, "n_features": 0, "n_found": 0, "n_planted": 5},
        **{"planted_sign": 0.8, "planted_leads": 0.4, "gradient_rank": 1.0, "gradient_contrast_rank": -1.0},
    }


def test_no_behaviours_are_empty_tables() -> None:
    groups = circuit_groups({}, [], groups={}, passes={}, virtual_weights=np.empty(0), fdr=0.05)
    check_dataset(groups, CIRCUITS)
    assert leading(groups["summary"]) == {}
