"""Distance of two variants on a prompt: of what is known, never more than the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.divergence import total_variation_of_targets


def test_by_hand() -> None:
    assert total_variation_of_targets(np.array([0.5, 0.25]), np.array([0.5, 0.25])) == 0
    # What leaves the targets goes to the rest.
    assert total_variation_of_targets(np.array([0.75]), np.array([0.25])) == pytest.approx(0.5)
    assert total_variation_of_targets(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == 1
    assert total_variation_of_targets(np.zeros(0), np.zeros(0)) == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(0, 30))
def test_at_most_the_whole_distance_and_equal_with_every_token(seed: int, size: int, targets: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.dirichlet(np.full(size, 0.3), size=2)
    whole = np.abs(first - second).sum() / 2
    chosen = random.permutation(size)[: min(targets, size)]
    assert total_variation_of_targets(first[chosen], second[chosen]) <= whole + 1e-12
    assert total_variation_of_targets(first, second) == pytest.approx(whole)
