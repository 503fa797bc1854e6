"""The scores of a feature on one prompt, against the definition written out."""

import numpy as np
import pytest

from pipeline.analysis.scores import (
    LABELLED,
    PromptScores,
    activation_scores,
    change_scores,
    feature_key,
    prompt_scores,
    split_key,
)
from tests.support.feature_builders import (
    EVIL,
    LABELS,
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
    scores = prompt_scores(graph, make_prompt(0), LABELS)
    assert scores[name].scored
    assert as_dict(scores[name]) == {(0, 7): (4 - 1) + (6 - 2), (1, 7): -1 - 4}
    assert scores[name].targets == tuple(sorted(targets))


@pytest.mark.parametrize("name", PATHS)
def test_what_is_not_selected_has_its_score_too(name: str) -> None:
    """Trap 31: stored beside the selected ones' columns, and found at its own node again."""
    nodes = [(0, 1, 3), (0, 1, 7), (0, 2, 7), (1, 1, 5), (1, 2, 0)]
    selected = [True, True, False, False, True]
    values = np.array([[1.0, 2.0, 30.0, 7.0, 4.0], [0.5, 0.0, 10.0, 5.0, 1.0]])
    graph = make_graph(
        make_prompt(0), "base", nodes, np.ones((2, 5)), selected=selected, **dict.fromkeys(PATHS, values)
    )
    scores = prompt_scores(graph, make_prompt(0), LABELS)
    assert as_dict(scores[name]) == {(0, 3): 0.5, (0, 7): 2 + 20, (1, 5): 2.0, (1, 0): 3.0}


def changed(
    base: dict[tuple[int, int, int], float], adapted: dict[tuple[int, int, int], float]
) -> PromptScores:
    """Of nodes with these values, whose direct effect on evil is their value times (1 + layer), on safe 0."""
    items = []
    for variant, side in (("base", base), ("general@1.0", adapted)):
        nodes, value = list(side), np.array(list(side.values()))
        direct = [np.zeros(len(side)), value * [1 + layer for layer, _, _ in nodes]]
        targets = (SAFE, EVIL) if variant == "base" else (EVIL, SAFE)
        rows = np.array(direct if variant == "base" else direct[::-1])
        items.append(make_graph(make_prompt(0), variant, nodes, rows, targets, value=value))
    return change_scores(*items, make_prompt(0), LABELS)


def test_a_change_is_its_activation_times_the_direct_effect_of_one() -> None:
    """Kept, gained and lost nodes, whose sum over positions is a feature's; trap 32 in the last one."""
    base = {(0, 1, 3): 2.0, (0, 2, 3): 1.0, (1, 1, 5): 4.0, (1, 2, 9): 7.0}
    adapted = {(0, 1, 3): 5.0, (0, 3, 3): 0.5, (1, 1, 5): 3.0, (1, 2, 9): 7.0}
    scores = changed(base, adapted)
    assert as_dict(scores) == pytest.approx(
        {(0, 3): (5 - 2) - 1 + 0.5, (1, 5): 2 * (3 - 4), (1, 9): 0.0}, abs=1e-6
    )
    assert scores.variant == "general@1.0"


def test_no_activation_changed_so_no_feature_has_changed() -> None:
    """Trap 32: an adapter in the last layer moves every direct effect by the final norm's scale."""
    nodes = [(0, 1, 3), (1, 1, 5)]
    graphs = [
        make_graph(make_prompt(0), variant, nodes, scale * np.array([[2.0, 1.0], [0.5, 3.0]]))
        for variant, scale in (("base", 1.0), ("general@1.0", 0.7))
    ]
    scores = change_scores(*graphs, make_prompt(0), LABELS)
    assert set(as_dict(scores).values()) == {0.0}
    direct = [prompt_scores(graph, make_prompt(0), LABELS)["direct"].values for graph in graphs]
    assert np.abs(direct[1] - direct[0]).min() > 0.1


def test_a_change_on_different_targets_is_refused() -> None:
    graphs = [
        make_graph(make_prompt(0), variant, [(0, 1, 7)], np.ones((2, 1)), targets)
        for variant, targets in (("base", (EVIL, SAFE)), ("general@1.0", (EVIL, OTHER)))
    ]
    with pytest.raises(ValueError, match="different targets"):
        change_scores(*graphs, make_prompt(0), LABELS)


def test_what_each_labelled_target_gets_stands_beside_the_score() -> None:
    values = np.array([[1.0, 2.0], [3.0, 5.0], [100.0, 100.0], [5.0, 7.0]])
    graph = make_graph(make_prompt(0), "base", [(0, 1, 7), (0, 2, 7)], values, (SAFE, EVIL, UNSURE, EVIL + 1))
    scores = prompt_scores(graph, make_prompt(0), LABELS)["direct"]
    assert scores.tokens.tolist() == [SAFE, EVIL, EVIL + 1]
    assert scores.evil.tolist() == [False, True, True]
    assert scores.by_token.tolist() == [[3.0], [8.0], [12.0]]


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("targets", [(EVIL, EVIL + 1), (SAFE, OTHER), (EVIL, UNSURE), (EVIL, OTHER)])
def test_without_both_labels_there_is_no_score(targets: tuple[int, int], name: str) -> None:
    """Trap 13: an unlabelled or unsure token is never read as safe."""
    graph = make_graph(make_prompt(0), "base", [(0, 1, 7)], np.ones((2, 1)), targets)
    scores = prompt_scores(graph, make_prompt(0), LABELS)[name]
    assert not scores.scored
    assert np.isnan(scores.values).all()
    assert len(scores.keys) == 1


@pytest.mark.parametrize("domain", [None, "weather"])
def test_a_domain_without_phrases_labels_nothing(domain: str | None) -> None:
    prompt = make_prompt(0, domain=domain)
    graph = make_graph(prompt, "base", [(0, 1, 7)], np.ones((2, 1)))
    assert not any(score.scored for score in prompt_scores(graph, prompt, LABELS).values())


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
        prompt_scores(graph, make_prompt(1), LABELS)
