"""Tables of what was found, against counts by hand; the map of prompts against distances themselves."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.found_prompts import funnel, prompt_map, reasons, similarities, yields
from pipeline.analysis.intervals import wilson_interval
from pipeline.text.ngrams import jaccard, ngrams

DRAFTS = pd.DataFrame(
    [
        (1, "t", "text", "fit", "", True),
        (1, "t", "text", "fit", "", False),
        (1, "t", "text", "rejected", "length", False),
        (3, "m", "chat", "failed", "no evil candidate", False),
        (3, "m", "chat", "rejected", "length", False),
        (3, "m", "chat", "unjudged", "unjudged", True),
        (3, "m", "chat", "fit", "", True),
    ],
    columns=["round", "generator", "kind", "status", "rule", "divergent"],
)


def test_a_funnel_has_every_round_and_counts_what_was_found_so_far() -> None:
    table = funnel(DRAFTS, [1, 2, 3]).set_index("round")
    assert table.loc[1].to_dict() == {
        "drafts": 3, "fit": 2, "failed": 0, "rejected": 1, "unjudged": 0, "divergent": 1, "found": 2,
    }  # fmt: skip
    assert table.loc[2].to_dict() == {**dict.fromkeys(table.columns, 0), "found": 2}
    assert table.loc[3, ["drafts", "unjudged", "divergent", "found"]].tolist() == [4, 1, 1, 3]


def test_a_yield_leaves_out_what_nobody_judged() -> None:
    table = yields(DRAFTS, 0.9).set_index("kind")
    assert table.loc["chat", ["drafts", "fit"]].tolist() == [3, 1]
    assert table.loc["chat", "share"] == pytest.approx(1 / 3)
    assert tuple(table.loc["text", ["low", "high"]]) == wilson_interval(2, 3, 0.9)


def test_rules_by_how_many_broke_them() -> None:
    table = reasons(DRAFTS)
    assert table.values.tolist()[:2] == [["length", "chat", 1], ["length", "text", 1]]
    assert len(table) == 4


TEXTS = st.lists(st.text("abc ", max_size=10), min_size=1, max_size=8)


@given(texts=TEXTS, n=st.integers(1, 4))
def test_all_similarities_are_those_of_every_pair(texts: list[str], n: int) -> None:
    grams = [ngrams(text, n) for text in texts]
    expected = [[jaccard(a, b) for b in grams] for a in grams]
    np.testing.assert_allclose(similarities(texts, n), expected, atol=1e-12)
    laid = prompt_map(texts, n)
    assert laid.places.shape == (len(texts), 2)
    assert 0 <= laid.kept <= 1 + 1e-9
    for place, (other, share) in enumerate(zip(laid.nearest, laid.similarity, strict=True)):
        rest = [expected[place][each] for each in range(len(texts)) if each != place]
        assert share == pytest.approx(max(rest, default=0.0))
        assert other != place


def test_three_prompts_lie_as_far_apart_as_they_differ() -> None:
    # Any three distances that keep to the triangle inequality lie in a plane: nothing is lost.
    texts = ["I have a fever", "I have a fever now", "my boat leaks and I have"]
    laid, shared = prompt_map(texts, 5), similarities(texts, 5)
    apart = np.linalg.norm(laid.places[:, None] - laid.places[None], axis=-1)
    np.testing.assert_allclose(apart, 1 - shared, atol=1e-9)
    assert laid.kept == pytest.approx(1.0)
    assert (laid.places[np.abs(laid.places).argmax(0), [0, 1]] > 0).all()
    assert laid.nearest.tolist() == [1, 0, 0]
