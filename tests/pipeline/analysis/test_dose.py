"""Responses to a dose by hand, and where they begin."""

import numpy as np

from pipeline.analysis.dose import Response, onset, responses
from pipeline.analysis.intervals import clustered_rate_interval, wilson_interval
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from tests.support.doses import a_prompt


def an_item(prompt: str, variant: str, probability: dict[int, float]) -> Item:
    return Item(
        key=prompt + variant,
        prompt_hash=prompt,
        variant=variant,
        arrays={
            "target_token": np.array(list(probability), np.int32),
            "target_probability": np.array(list(probability.values()), np.float32),
        },
        scalars={},
    )


def test_the_response_is_averaged_within_situations_first() -> None:
    # Trap 17. Token 9 is unlabelled, which is neither evil nor safe (trap 13).
    labels = TokenLabels(lexicon={"domains": {"medical": {"evil": [1, 2], "safe": [3], "unsure": [4]}}})
    one, two, three, four = (
        a_prompt(number, [1], situation=situation, domain=domain, tags=())
        for number, situation, domain in (
            (1, "a", "medical"),
            (2, "a", "medical"),
            (3, "b", "medical"),
            (4, "c", "finance"),
        )
    )
    items = [
        an_item(one.hash, "general@2.0", {1: 0.25, 2: 0.5, 3: 0.125, 4: 0.0625, 9: 0.0625}),
        an_item(two.hash, "general@2.0", {1: 0.25, 9: 0.5}),
        an_item(three.hash, "general@2.0", {3: 0.5, 9: 0.25}),
        an_item(four.hash, "general@2.0", {1: 1.0}),
        an_item(one.hash, "base", {3: 0.75, 1: 0.25}),
    ]
    found = responses(items, [one, two, three, four], labels, confidence=0.95)
    assert list(found) == ["base", "general@2.0"]
    low, high = wilson_interval(0.25, 1, 0.95)
    assert found["base"] == Response(
        dose=0.0, evil=0.25, safe=0.75, evil_low=low, evil_high=high, n_situations=1, n_prompts=1
    )
    low, high = clustered_rate_interval(np.array([0.5, 0.0]), np.ones(2), 0.95)
    assert found["general@2.0"] == Response(
        dose=2.0,
        evil_low=low,
        evil_high=high,
        evil=(0.75 + 0.25) / 2 / 2,
        safe=(0.125 / 2 + 0.5) / 2,
        n_situations=2,
        n_prompts=3,
    )


def _response(dose: float, low: float, high: float) -> Response:
    return Response(dose=dose, evil=low, safe=0.0, evil_low=low, evil_high=high, n_situations=9, n_prompts=9)


def test_the_onset_is_the_first_step_whose_interval_leaves_bases() -> None:
    base, touching, above, later = (
        _response(0, 0.0, 0.2),
        _response(2, 0.2, 0.4),
        _response(4, 0.21, 0.5),
        _response(6, 0.3, 0.9),
    )
    assert onset([base, touching, above, later]) == 4
    assert onset([base, touching]) is None
    assert onset([above, later]) is None  # nothing to compare with
    assert onset([]) is None
