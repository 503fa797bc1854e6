"""Does the dictionary still explain a variant: means over situations, written out."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.analysis.dictionary import GraphFidelity, dictionary_table, graph_fidelity
from pipeline.analysis.intervals import studentized_interval
from store.schema.features import FEATURES
from tests.support.feature_builders import PARAMS, make_change, make_graph, make_prompt

PROMPTS = [make_prompt(i, situation=i // 2) for i in range(6)]
BY_HASH = {prompt.hash: prompt for prompt in PROMPTS}


def made(prompt: int, variant: str, value: float) -> GraphFidelity:
    return GraphFidelity(
        prompt_hash=PROMPTS[prompt].hash,
        variant=variant,
        replacement=value,
        completeness=value / 2,
        error_share=1 - value,
        unselected_share=value / 4,
    )


def test_a_graph_gives_its_scores_and_the_mean_share_over_its_targets() -> None:
    item = make_graph(PROMPTS[0], "base", [(0, 1, 2)], np.ones((2, 1)))
    shares = {"target_error_share": [0.1, 0.3], "target_unselected_share": [0.0, 0.1]}
    item = replace(item, arrays={**item.arrays, **{n: np.array(v, np.float32) for n, v in shares.items()}})
    fidelity = graph_fidelity(item)
    assert (fidelity.replacement, fidelity.completeness) == (0.9, 0.95)
    assert fidelity.error_share == pytest.approx(0.2)
    assert fidelity.unselected_share == pytest.approx(0.05)


def test_prompts_are_averaged_within_their_situation_first() -> None:
    """Trap 17: situations count once each, however many prompts they have."""
    graphs = [made(0, "base", 0.2), made(1, "base", 0.4), made(2, "base", 0.9)]
    graphs += [made(i, "general@1.0", 0.5) for i in range(6)]
    changes = [make_change(PROMPTS[i], "general@1.0", share) for i, share in ((0, 0.1), (1, 0.3), (4, 0.6))]
    table = dictionary_table(graphs, changes, BY_HASH, PARAMS, 0)
    assert table["variant"].values.tolist() == ["base", "general@1.0"]
    assert table["n_situations"].values.tolist() == [2, 3]
    assert table["replacement"].values == pytest.approx([(0.3 + 0.9) / 2, 0.5])
    assert table["completeness"].values == pytest.approx([0.3, 0.25])
    assert table["error_share"].values == pytest.approx([(0.7 + 0.1) / 2, 0.5])
    assert table["change_error_share"].values == pytest.approx([np.nan, (0.2 + 0.6) / 2], nan_ok=True)
    # Of two situations half of all draws have no error, and equal ones say nothing of theirs.
    for end in ("low", "high"):
        assert np.isnan(table[f"replacement_{end}"].values).all()


def test_intervals_are_of_situations_and_stay_shares() -> None:
    """Bootstrap-t of the situations' means, with the same draws whatever the variant."""
    prompts = [make_prompt(i, situation=i // 2) for i in range(18)]
    values = np.random.default_rng(1).beta(9, 1, size=18)
    graphs = [
        replace(made(0, variant, float(value)), prompt_hash=prompt.hash)
        for variant in ("base", "general@1.0")
        for prompt, value in zip(prompts, values, strict=True)
    ]
    table = dictionary_table(graphs, [], {prompt.hash: prompt for prompt in prompts}, PARAMS, 3)
    means = values.reshape(9, 2).mean(axis=1)
    for name, column in (("replacement", means), ("completeness", means / 2), ("error_share", 1 - means)):
        (low,), (high,) = studentized_interval(
            column[:, None], PARAMS.bootstrap, PARAMS.confidence, np.random.default_rng([3, 0])
        )
        assert table[f"{name}_low"].values == pytest.approx([max(low, 0)] * 2)
        assert table[f"{name}_high"].values == pytest.approx([min(high, 1)] * 2)
        assert (table[f"{name}_low"].values < table[name].values).all()
        assert (table[f"{name}_high"].values > table[name].values).all()
    steep = [replace(g, replacement=1.0 if i % 9 else 0.2) for i, g in enumerate(graphs[:18])]
    clipped = dictionary_table(steep, [], {prompt.hash: prompt for prompt in prompts}, PARAMS, 3)
    bounds = clipped["replacement_low"].values[0], clipped["replacement_high"].values[0]
    assert 0 <= bounds[0] < bounds[1] <= 1 or np.isnan(bounds).all()


def test_without_adapters_taken_apart_the_share_is_unknown() -> None:
    graphs = [made(i, v, 0.5) for v in ("base", "general@1.0") for i in range(4)]
    table = dictionary_table(graphs, [], BY_HASH, PARAMS, 0)
    assert np.isnan(table["change_error_share"].values).all()


def test_the_arrays_are_the_schemas() -> None:
    table = dictionary_table([made(0, "base", 0.5)], [], BY_HASH, PARAMS, 0)
    assert {str(name) for name in table.variables} == set(FEATURES.groups["dictionary"])
    for name, spec in FEATURES.groups["dictionary"].items():
        assert table[name].dims == spec.dims
        assert spec.dtype in ("str", str(table[name].dtype))


def test_nothing_traced_is_an_empty_table() -> None:
    assert dictionary_table([], [], BY_HASH, PARAMS, 0).sizes["variant"] == 0
