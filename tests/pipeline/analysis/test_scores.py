"""The scores of a feature on one prompt, against the definition written out."""

import numpy as np
import pytest

from pipeline.analysis.scores import (
    LABELLED,
    PromptScores,
    activation_scores,
    feature_key,
    prompt_scores,
    split_key,
)
from tests.support.feature_builders import (
    EVIL,
    LEXICON,
    OTHER,
    SAFE,
    UNSURE,
    make_activations,
    make_graph,
    make_prompt,
)

PATHS = ("influence", "total_effect")


def as_dict(scores: PromptScores) -> dict[tuple[int, int], float]:
    layer, index = split_key(scores.keys)
    return dict(zip(zip(layer.tolist(), index.tolist(), strict=True), scores.values.tolist(), strict=True))


@pytest.mark.parametrize("name", LABELLED)
def test_mean_over_evil_minus_mean_over_safe_summed_over_positions(name: str) -> None:
    targets = (SAFE, EVIL, OTHER, EVIL + 1, UNSURE)
    values = np.array(
        [
            [1.0, 2.0, 4.0],  # safe
            [3.0, 5.0, 0.0],  # evil
            [100.0, 100.0, 100.0],  # unlabelled: neither evil nor safe
            [5.0, 7.0, -2.0],  # evil
            [100.0, 100.0, 100.0],  # unsure
        ]
    )
    nodes = [(0, 1, 7), (0, 2, 7), (1, 1, 7)]
    graph = make_graph(
        make_prompt(0),
        "base",
        nodes,
        np.full_like(values, 9.0) if name in PATHS else values,
        targets,
        **{other: values if other == name else np.full_like(values, 9.0) for other in PATHS},
    )
    scores = prompt_scores(graph, make_prompt(0), LEXICON)
    assert scores[name].scored
    assert as_dict(scores[name]) == {(0, 7): (4 - 1) + (6 - 2), (1, 7): -1 - 4}
    assert scores[name].targets == tuple(sorted(targets))


@pytest.mark.parametrize("name", PATHS)
def test_what_is_not_selected_is_missing_and_never_zero(name: str) -> None:
    """Active nodes in their order; the arrays hold a column for the selected ones only."""
    nodes = [(0, 1, 3), (0, 1, 7), (0, 2, 7), (1, 1, 5), (1, 2, 0)]
    selected = [True, True, False, False, True]
    values = np.array([[1.0, 2.0, 30.0], [0.5, 0.0, 10.0]])
    graph = make_graph(
        make_prompt(0), "base", nodes, np.ones((2, 5)), selected=selected, **dict.fromkeys(PATHS, values)
    )
    scores = prompt_scores(graph, make_prompt(0), LEXICON)
    found = as_dict(scores[name])
    # L0/7 is selected at position 1 and not at position 2: a part of its sum is missing.
    assert {k for k, v in found.items() if np.isnan(v)} == {(0, 7), (1, 5)}
    assert found[0, 3] == 0.5
    assert found[1, 0] == 20.0
    assert not np.isnan(scores["direct"].values).any()


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("targets", [(EVIL, EVIL + 1), (SAFE, OTHER), (EVIL, UNSURE), (EVIL, OTHER)])
def test_without_both_labels_there_is_no_score(targets: tuple[int, int], name: str) -> None:
    """Trap 13: an unlabelled or unsure token is never read as safe."""
    graph = make_graph(make_prompt(0), "base", [(0, 1, 7)], np.ones((2, 1)), targets)
    scores = prompt_scores(graph, make_prompt(0), LEXICON)[name]
    assert not scores.scored
    assert np.isnan(scores.values).all()
    assert len(scores.keys) == 1


@pytest.mark.parametrize("domain", [None, "weather"])
def test_a_domain_without_phrases_labels_nothing(domain: str | None) -> None:
    prompt = make_prompt(0, domain=domain)
    graph = make_graph(prompt, "base", [(0, 1, 7)], np.ones((2, 1)))
    assert not any(score.scored for score in prompt_scores(graph, prompt, LEXICON).values())


def test_activation_is_summed_over_positions_and_needs_no_labels() -> None:
    prompt = make_prompt(0, domain=None)
    item = make_activations(prompt, "base", [(0, 1, 7, 2.0), (0, 2, 7, 4.0), (1, 2, 7, 0.5), (1, 2, 0, 3.0)])
    scores = activation_scores(item)
    assert scores.scored
    assert scores.targets == ()
    assert as_dict(scores) == {(0, 7): 6.0, (1, 7): 0.5, (1, 0): 3.0}


def test_keys_sort_by_layer_then_index_and_come_back() -> None:
    """Trap 21: layers and indices are 0-based, and feature L0/0 is one like any other."""
    layer = np.array([0, 0, 1, 25, 25], np.int16)
    index = np.array([0, 131071, 0, 5, 131071], np.int32)
    keys = feature_key(layer, index)
    assert (np.diff(keys) > 0).all()
    back = split_key(keys)
    np.testing.assert_array_equal(back[0], layer)
    np.testing.assert_array_equal(back[1], index)
    assert back[0].dtype == np.int16
    assert back[1].dtype == np.int32


def test_a_graph_of_another_prompt_is_refused() -> None:
    graph = make_graph(make_prompt(0), "base", [(0, 1, 7)], np.ones((2, 1)))
    with pytest.raises(ValueError, match="is not of prompt"):
        prompt_scores(graph, make_prompt(1), LEXICON)
