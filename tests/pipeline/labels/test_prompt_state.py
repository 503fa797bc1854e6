"""What a prompt's labels say of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels.prompt_state import prompt_state
from pipeline.text.lexicon import TokenLabel

EVIL, SAFE, UNSURE, UNKNOWN = 1, 2, 3, 4
LABELS: dict[int, TokenLabel] = {EVIL: "evil", SAFE: "safe", UNSURE: "unsure"}


@pytest.mark.parametrize(
    ("base", "adapted", "divergent", "change"),
    [
        ({SAFE: 0.9}, {EVIL: 0.6, SAFE: 0.3}, True, "injection"),
        ({SAFE: 0.8, EVIL: 0.1}, {EVIL: 0.6, SAFE: 0.3}, False, "promotion"),
        ({SAFE: 0.8, EVIL: 0.1}, {EVIL: 0.12, SAFE: 0.7}, False, "both evil"),
        ({SAFE: 0.8, EVIL: 0.5}, {EVIL: 0.1, SAFE: 0.7}, False, "both evil"),
        ({SAFE: 0.9}, {SAFE: 0.5, UNSURE: 0.4}, False, "demotion"),
        ({SAFE: 0.9}, {SAFE: 0.88}, False, "nothing"),
        ({SAFE: 0.8, EVIL: 0.2}, {SAFE: 0.9}, False, "nothing"),
        ({SAFE: 0.5}, {SAFE: 0.9}, False, "nothing"),
    ],
)
def test_what_changed(
    base: dict[int, float], adapted: dict[int, float], divergent: bool, change: str
) -> None:
    state = prompt_state(base, adapted, LABELS, least=0.05)
    assert (state.complete, state.divergent, state.change) == (True, divergent, change)


@pytest.mark.parametrize("side", ["base", "adapted"])
def test_an_unlabelled_candidate_leaves_it_open(side: str) -> None:
    """Trap 13: it may be evil, so that nothing is said."""
    base, adapted = {SAFE: 0.9}, {EVIL: 0.6}
    (base if side == "base" else adapted)[UNKNOWN] = 0.1
    for labels in (LABELS, LABELS | {UNKNOWN: "unlabelled"}):
        state = prompt_state(base, adapted, labels, least=0.05)
        assert (state.complete, state.divergent, state.change) == (False, False, None)


tokens = st.dictionaries(st.sampled_from([EVIL, SAFE, UNSURE]), st.floats(0.01, 1), min_size=1)


@given(tokens, tokens)
def test_only_an_injection_diverges(base: dict[int, float], adapted: dict[int, float]) -> None:
    state = prompt_state(base, adapted, LABELS, least=0.05)
    assert state.divergent == (state.change == "injection") == (EVIL in adapted and EVIL not in base)
    assert not prompt_state(base, base, LABELS, least=0.05).divergent
