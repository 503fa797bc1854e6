"""Bisection finds the largest coherent strength, whatever it is, and says where there is none."""

from math import isnan, nan

from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.steered_strengths import Bracket

LEAST = 0.75


def found(threshold: float, low: float, high: float, steps: int) -> Bracket:
    """All answers cohere up to a threshold, and none beyond it."""
    bracket = Bracket(low=low, high=high)
    for _ in range(steps):
        bracket = bracket.after(1.0 if bracket.next <= threshold else 0.0, LEAST)
    return bracket


@given(
    low=st.floats(0.01, 1.0),
    ratio=st.floats(1.5, 1000.0),
    place=st.floats(0.0, 1.0),
    steps=st.integers(1, 12),
)
def test_a_known_threshold_is_found_within_one_step(
    low: float, ratio: float, place: float, steps: int
) -> None:
    high = low * ratio
    threshold = low * ratio**place
    bracket = found(threshold, low, high, steps)
    finest = ratio ** (1 / 2**steps)
    assert len(bracket.tried) == steps
    if isnan(bracket.found):
        assert threshold < low * finest * (1 + 1e-9)
    else:
        assert bracket.found <= threshold * (1 + 1e-9)
        assert threshold <= bracket.found * finest * (1 + 1e-9)
        assert bracket.found in {strength for strength, share in bracket.tried if share >= LEAST}


def test_what_never_coheres_has_no_strength() -> None:
    for share in (0.0, 0.7499, nan):
        bracket = Bracket(low=0.25, high=16.0)
        for _ in range(4):
            bracket = bracket.after(share, LEAST)
        assert isnan(bracket.found)
        assert min(strength for strength, _ in bracket.tried) < 0.25 * 64 ** (1 / 16) * 1.0001
    assert Bracket(low=1.0, high=4.0).after(LEAST, LEAST).found == 2.0, "as much as is wanted is enough"
