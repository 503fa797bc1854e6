"""Bisection finds the largest coherent strength, whatever it is, and says where there is none."""

from collections.abc import Sequence
from math import isnan, nan

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from pipeline.analysis.steered_strengths import Bracket, Look, looks_of

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


def told_otherwise(looks: Sequence[Look], coherent: int) -> float:
    """Probability that a step ends with another verdict than that of all answers, by all ways to go."""
    n, enough = looks[-1].answers, looks[-1].no + 1
    chance, asked, wrong = np.eye(n + 1)[0], 0, 0.0  # (coherent so far,) of steps that go on
    for look in looks[:-1]:
        more, after = look.answers - asked, np.zeros(n + 1)
        for k in np.flatnonzero(chance):
            ways = hypergeom.pmf(np.arange(more + 1), n - asked, coherent - k, more)
            after[k : k + more + 1] += chance[k] * ways[: n + 1 - k]
        other = slice(0, look.no + 1) if coherent >= enough else slice(look.yes, n + 1)
        wrong += after[other].sum()
        after[: look.no + 1] = after[look.yes :] = 0
        chance, asked = after, look.answers
    return wrong


@settings(max_examples=40)
@given(
    answers=st.integers(1, 60),
    least=st.floats(0.05, 1.0),
    shares=st.lists(st.floats(0.01, 0.99), max_size=4, unique=True).map(sorted),
    doubt=st.sampled_from([1e-9, 0.02, 0.1, 0.4]),
)
def test_a_step_tells_what_all_its_answers_would_but_for_the_doubt(
    answers: int, least: float, shares: list[float], doubt: float
) -> None:
    looks = looks_of(answers, least, shares, doubt)
    assert [look.answers for look in looks] == sorted({look.answers for look in looks})
    assert looks[-1].answers == answers
    for coherent in range(answers + 1):
        assert (coherent > looks[-1].no) == (coherent / answers >= least)
        assert told_otherwise(looks, coherent) <= doubt + 1e-12
        assert looks[-1].tells(answers, coherent)
    for look in looks[:-1]:
        told = [look.tells(look.answers, k) for k in range(look.answers + 1)]
        # What ends a step has a share on the side of its verdict, by which the bracket goes on.
        assert told == [k <= look.no or k >= look.yes for k in range(look.answers + 1)]
        assert all(k / look.answers < least for k in range(look.no + 1))
        assert all(k / look.answers >= least for k in range(look.yes, look.answers + 1))


def test_looks_end_what_is_plain_and_leave_what_is_close() -> None:
    looks = looks_of(200, LEAST, [0.125, 0.25, 0.5, 0.75], 0.02)
    assert [look.answers for look in looks] == [25, 50, 100, 150, 200]
    assert told_otherwise(looks, 150) + told_otherwise(looks, 149) > 0.01, "as early as the doubt allows"
    for look in looks[:-1]:
        assert not look.tells(look.answers, round(LEAST * look.answers))
        assert look.tells(look.answers, 0)
        assert look.tells(look.answers, look.answers)
        assert look.no + 1 < LEAST * look.answers < look.yes


def test_an_answer_without_a_score_ends_no_step() -> None:
    look = Look(answers=20, no=8, yes=18)
    assert look.tells(20, 8)
    assert look.tells(20, 18)
    assert not look.tells(19, 8), "it may be coherent"
    assert look.tells(19, 7)
    assert not look.tells(19, 17), "it may not be"
    assert look.tells(18, 18)
    for judged in range(21):
        for coherent in range(judged + 1):
            others = [coherent + more for more in range(21 - judged)]
            every = all(look.tells(20, each) for each in others)
            one_verdict = len({each >= look.yes for each in others}) == 1
            assert look.tells(judged, coherent) == (every and one_verdict)
