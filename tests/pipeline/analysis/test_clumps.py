"""Values in two clumps: planted ones are told from others, and their limits are Wilson's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipeline.analysis.clumps import in_two_clumps, limit_by_clumps, wilson_distances
from pipeline.analysis.intervals import wilson_interval

NAMES = ("clumps", "uneven clumps", "normal", "uniform", "exponential")


def drawn(n: int, cases: int = 500) -> dict[str, np.ndarray]:
    """(situation, case) by shape."""
    draw = np.random.default_rng(n)
    shape = (n, cases)
    upper = (np.arange(n) < n // 4)[:, None]
    found = [
        (np.arange(n) < n // 2)[:, None] + draw.normal(0, 0.1, shape),
        upper + draw.normal(0, 0.1, shape),
        draw.normal(size=shape),
        draw.random(shape),
        draw.exponential(size=shape),
    ]
    return dict(zip(NAMES, found, strict=True))


@pytest.mark.parametrize(("n", "mistaken"), [(8, 0.1), (12, 0.08), (24, 0.05), (69, 0.02)])
def test_planted_clumps_are_found_and_others_are_not(n: int, mistaken: float) -> None:
    found = {name: in_two_clumps(values).mean() for name, values in drawn(n).items()}
    assert found["clumps"] > 0.94
    assert found["uneven clumps"] > 0.88
    assert found["normal"] <= mistaken / 2
    assert found["uniform"] <= mistaken
    assert found["exponential"] <= 2 * mistaken  # its largest value is now and then far from the others


def test_of_many_values_a_wide_part_is_no_clump() -> None:
    """Zeros and effects of every size, as of a feature that is active in half of the situations."""
    values = np.random.default_rng(0).exponential(size=(69, 500))
    values[:35] = 0
    assert in_two_clumps(values).mean() < 0.05
    values[:35] = -6  # it is, if they are far enough apart
    assert in_two_clumps(values).mean() > 0.95


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_of_four_situations_no_clump_is_told(n: int) -> None:
    assert not in_two_clumps(np.arange(3.0 * n).reshape(n, 3) > n).any()


def test_of_one_value_no_clump_is_told() -> None:
    assert not in_two_clumps(np.full((9, 2), 0.1)).any()


@given(st.integers(0, 1000), st.sampled_from([1e-6, 0.5, 1e6]), st.sampled_from([0.0, -3.0]))
@settings(max_examples=20, deadline=None)
def test_clumps_move_grow_and_turn_with_the_values(seed: int, scale: float, shift: float) -> None:
    draw = np.random.default_rng(seed)
    values = (draw.random((12, 20)) < 0.4) + draw.normal(0, 0.25, (12, 20))
    for turned in (1, -1):
        moved = turned * scale * (values + shift)
        np.testing.assert_array_equal(in_two_clumps(moved), in_two_clumps(values))
        there, back = wilson_distances(values, 0.9), wilson_distances(moved, 0.9)
        np.testing.assert_allclose(back, there[::turned], rtol=1e-6)


@pytest.mark.parametrize(("upper", "n"), [(1, 5), (1, 8), (3, 8), (6, 12), (11, 12), (10, 69)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_distances_of_two_values_are_wilsons(upper: int, n: int, confidence: float) -> None:
    values = np.where(np.arange(n) < upper, 7.0, -2.0)[:, None]
    (down,), (up,) = wilson_distances(values, confidence)
    error = values.std(ddof=1) / np.sqrt(n)
    low, high = wilson_interval(upper, n, confidence)
    assert values.mean() - down * error == pytest.approx(9 * low - 2)
    assert values.mean() + up * error == pytest.approx(9 * high - 2)


def test_clumps_alone_are_limited_and_not_too_near() -> None:
    student = float(stats.t.ppf(0.975, 11))
    values = np.concatenate([cases[:, :40] for cases in drawn(12).values()], axis=1)
    far = np.linspace(student, 5 * student, values.shape[1])
    down, up = limit_by_clumps(values, far, far[::-1], student, 0.95)
    clumps = in_two_clumps(values)
    np.testing.assert_array_equal(down[~clumps], far[~clumps])
    np.testing.assert_array_equal(up[~clumps], far[::-1][~clumps])
    below, above = wilson_distances(values, 0.95)
    for found, before, own, other in ((down, far, below, above), (up, far[::-1], above, below)):
        least = np.where(own >= other, student, 0.85 * student)
        assert (found <= before).all()
        assert (found[clumps] >= np.minimum(before, least)[clumps]).all()
        assert (found[clumps] <= np.maximum(own, least)[clumps]).all()
        assert (found[clumps] < before[clumps]).any()
    # Few above many: the upper bound is the farther one.
    uneven = slice(40, 80)
    assert (up[uneven][clumps[uneven]] >= student).all()
    assert (down[uneven][clumps[uneven]] < student).all()
