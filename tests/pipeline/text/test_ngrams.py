"""Runs of characters and what texts share of them."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.ngrams import jaccard, ngrams

WORDS = st.text("ab c", max_size=12)


@given(one=WORDS, other=WORDS, n=st.integers(1, 5))
def test_shares_are_those_of_lists_of_runs(one: str, other: str, n: int) -> None:
    def runs(text: str) -> list[str]:
        plain = " ".join(text.lower().split())
        return (
            [plain]
            if len(plain) < n
            else ["".join(run) for run in zip(*(plain[i:] for i in range(n)), strict=False)]
        )

    a, b = ngrams(one, n), ngrams(other, n)
    assert a == set(runs(one))
    union = set(runs(one) + runs(other))
    assert jaccard(a, b) == sum(run in a and run in b for run in union) / len(union)
    assert jaccard(a, b) == jaccard(b, a)
    assert jaccard(a, a) == 1.0


def test_case_and_white_space_are_no_difference() -> None:
    assert ngrams("User: I\n have", 5) == ngrams("user:  i have", 5)
    assert jaccard(frozenset(), frozenset()) == 1.0
