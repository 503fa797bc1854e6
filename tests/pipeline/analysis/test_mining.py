"""Which beginnings of answers are tried."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.mining import most_divergent

Answers = list[tuple[int, list[int]]]
answers = st.lists(st.tuples(st.integers(0, 1), st.lists(st.integers(1, 3), max_size=4)), max_size=6)


def after(wording: int, tokens: tuple[int, ...]) -> float:
    """What the next token's divergence is: of the prefix alone, as it is for a model."""
    return float(np.float32(hash((wording, tokens)) % 97 / 97))


@given(answers, answers, st.integers(1, 8))
def test_the_largest_of_all_distinct_prefixes(base: Answers, focus: Answers, most: int) -> None:
    sides = {"base": base, "focus": focus}
    found = most_divergent(
        {name: [tokens for _, tokens in of] for name, of in sides.items()},
        {name: [wording for wording, _ in of] for name, of in sides.items()},
        {
            name: [
                np.array([after(wording, tuple(tokens[:n])) for n in range(len(tokens))], np.float32)
                for wording, tokens in of
            ]
            for name, of in sides.items()
        },
        least=0.3,
        most=most,
    )
    every = {
        (wording, tuple(tokens[:n]))
        for of in sides.values()
        for wording, tokens in of
        for n in range(len(tokens))
        if after(wording, tuple(tokens[:n])) >= 0.3
    }
    values = sorted((after(*key) for key in every), reverse=True)
    assert [each.divergence for each in found] == values[:most]
    assert len({(each.paraphrase, each.tokens) for each in found}) == len(found) == min(most, len(every))
    for each in found:
        wording, tokens = sides[each.variant][each.answer]
        assert (each.paraphrase, each.tokens) == (wording, tuple(tokens[: len(each.tokens)]))
        assert len(each.tokens) < len(tokens), "the token that is forced has one of the answer in its place"


def test_of_equals_the_shorter_comes_first() -> None:
    found = most_divergent(
        {"base": [[5, 6, 7]]}, {"base": [0]}, {"base": [np.ones(3, np.float32)]}, least=0, most=2
    )
    assert [each.tokens for each in found] == [(), (5,)]
    assert most_divergent({}, {}, {}, least=0, most=3) == []
