"""Scores of nodes against the stored arrays directly, and what they are read on."""

import numpy as np

from dashboard.graph.score_tables import contrasts
from dashboard.style.node_names import Words
from pipeline.analysis.evil_safe import (
    evil_minus_safe,
    evil_safe_weights,
    has_both,
    label_mass,
    target_labels,
)
from pipeline.analysis.node_ids import node_ids
from pipeline.analysis.node_scores import EVIL_SAFE, TargetContrasts, node_scores
from store.views.graph import GraphView
from tests.support import demo
from tests.support.demo_graphs import PROMPT, WORDS, view

NO_LABELS = Words(tokens=PROMPT.tokens, vocabulary=demo.WORDS, labels={})


def by_hand(found: GraphView, name: str, contrast: dict[int, float]) -> dict[str, dict[str, float]]:
    """Scores of every feature node, looked up one by one."""
    arrays = found.item.arrays
    selected = np.flatnonzero(arrays["active_selected"]).tolist()
    out = {}
    for place in range(len(arrays["active_layer"])):
        layer, position, feature = (
            int(arrays[f"active_{n}"][place]) for n in ("layer", "position", "feature")
        )
        values = {}
        for score, array in (
            ("direct", "direct"),
            ("influence", "influence"),
            ("total effect", "total_effect"),
        ):
            column = place if array == "direct" else selected.index(place)
            values[score] = sum(
                weight * float(arrays[array][row, column])
                for row, token in enumerate(arrays["target_token"].tolist())
                if (weight := contrast.get(token, 0.0))
            )
        out[f"F{layer}.{feature}.{position}"] = values
    return out


def test_scores_are_those_of_the_store() -> None:
    found = view("general@1.0")
    tokens = found.item.arrays["target_token"].tolist()
    evil = [token for token in tokens if WORDS.labels.get(token) == "evil"]
    safe = [token for token in tokens if WORDS.labels.get(token) == "safe"]
    contrast = dict.fromkeys(evil, 1 / len(evil)) | dict.fromkeys(safe, -1 / len(safe))
    expected = by_hand(found, EVIL_SAFE, contrast)
    asked = contrasts(found, WORDS)
    assert asked.names[0] == EVIL_SAFE
    best = tokens[int(np.argmax(found.item.arrays["target_probability"]))]
    assert asked.names[1].endswith(WORDS.of(best))
    scores = node_scores(found, asked)
    ids = node_ids(found.nodes)
    for row, name in enumerate(ids):
        if name.startswith("F"):
            np.testing.assert_allclose(scores[row, 0], list(expected[name].values()), atol=1e-6)
        else:
            assert np.isnan(scores[row]).all()
    direct = found.adapter_direct[tokens.index(best)]
    np.testing.assert_allclose(scores[len(ids) :, 1, 0], direct, atol=1e-6)
    assert np.isnan(scores[len(ids) :, :, 1:]).all()


def test_without_both_labels_there_is_no_evil_against_safe() -> None:
    asked = contrasts(view("base"), NO_LABELS)
    assert EVIL_SAFE not in asked.names
    assert len(asked.names) == len(view("base").targets)


def test_targets_of_another_graph_are_found_by_token() -> None:
    one = TargetContrasts(names=["x"], tokens=[5, 7], weights=np.array([[1.0, -1.0]]))
    np.testing.assert_array_equal(one.on(np.array([7, 9, 5])), [[-1.0, 0.0, 1.0]])


def test_one_contrast_is_chosen_by_its_name() -> None:
    every = contrasts(view("base"), WORDS)
    for row, name in enumerate(every.names):
        np.testing.assert_array_equal(every.only(name).weights, every.weights[row : row + 1])


def test_weights_say_the_same_as_means() -> None:
    known = {3: "evil", 4: "safe", 5: "evil", 9: "unsure"}
    labels = target_labels([3, 1, 4, 5, 9], known)
    values = np.random.default_rng(0).normal(size=(5, 7))
    assert labels.tolist() == ["evil", "unlabelled", "safe", "evil", "unsure"]
    expected = (values[0] + values[3]) / 2 - values[2]
    np.testing.assert_array_equal(evil_minus_safe(values, labels), expected)
    np.testing.assert_allclose(evil_safe_weights(labels) @ values, expected)
    assert has_both(labels)
    assert not has_both(labels[:2])
    assert label_mass(np.array([0.5, 1, 0.25, 0.125, 1], np.float32), labels, "evil") == 0.625
    assert label_mass(np.ones(1, np.float32), labels[1:2], "safe") == 0.0
