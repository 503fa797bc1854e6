"""The score of a feature on one prompt, against the definition written out."""

import numpy as np
import pytest

from pipeline.scores import feature_key, prompt_scores, split_key
from tests.features.builders import EVIL, LEXICON, OTHER, SAFE, UNSURE, make_graph, make_prompt


def as_dict(scores: object) -> dict[tuple[int, int], float]:
    layer, index = split_key(scores.keys)
    return dict(zip(zip(layer.tolist(), index.tolist(), strict=True), scores.values.tolist(), strict=True))


def test_mean_over_evil_minus_mean_over_safe_summed_over_positions() -> None:
    targets = (SAFE, EVIL, OTHER, EVIL + 1, UNSURE)
    direct = np.array(
        [
            [1.0, 2.0, 4.0],  # safe
            [3.0, 5.0, 0.0],  # evil
            [100.0, 100.0, 100.0],  # unlabelled: neither evil nor safe
            [5.0, 7.0, -2.0],  # evil
            [100.0, 100.0, 100.0],  # unsure
        ]
    )
    nodes = [(0, 1, 7), (0, 2, 7), (1, 1, 7)]
    scores = prompt_scores(
        make_graph(make_prompt(0), "base", nodes, direct, targets), make_prompt(0), LEXICON
    )
    assert scores.scored
    assert as_dict(scores) == {(0, 7): (4 - 1) + (6 - 2), (1, 7): -1 - 4}
    assert scores.targets == tuple(sorted(targets))


@pytest.mark.parametrize("targets", [(EVIL, EVIL + 1), (SAFE, OTHER), (EVIL, UNSURE), (EVIL, OTHER)])
def test_without_both_labels_there_is_no_score(targets: tuple[int, int]) -> None:
    """Trap 13: an unlabelled or unsure token is never read as safe."""
    graph = make_graph(make_prompt(0), "base", [(0, 1, 7)], np.ones((2, 1)), targets)
    scores = prompt_scores(graph, make_prompt(0), LEXICON)
    assert not scores.scored
    assert np.isnan(scores.values).all()
    assert len(scores.keys) == 1


@pytest.mark.parametrize("domain", [None, "weather"])
def test_a_domain_without_phrases_labels_nothing(domain: str | None) -> None:
    prompt = make_prompt(0, domain=domain)
    scores = prompt_scores(make_graph(prompt, "base", [(0, 1, 7)], np.ones((2, 1))), prompt, LEXICON)
    assert not scores.scored


def test_keys_sort_by_layer_then_index_and_come_back() -> None:
    layer = np.array([0, 0, 1, 25, 25], np.int16)
    index = np.array([3, 131071, 0, 5, 131071], np.int32)
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
