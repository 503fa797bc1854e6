"""Differences of rates on the same situations."""

import numpy as np
import pytest
import xarray as xr

from pipeline.analysis.intervals import clustered_rate_interval
from pipeline.analysis.paired_rates import differences, rate_difference


def test_one_sample_a_situation_is_newcombes_interval() -> None:
    """Newcombe 1998, method 10, written down anew for paired 0/1 outcomes."""
    rng = np.random.default_rng(0)
    first, second = (rng.random(60) < 0.6).astype(int), (rng.random(60) < 0.3).astype(int)
    second[:20] = first[:20]
    n = np.ones(60)
    both, only_first = int((first & second).sum()), int((first & ~second & 1).sum())
    only_second, neither = int((~first & second & 1).sum()), int(((1 - first) * (1 - second)).sum())
    rows, columns = (both + only_first, only_second + neither), (both + only_second, only_first + neither)
    phi = (both * neither - only_first * only_second) / np.sqrt(np.prod([*rows, *columns], dtype=float))
    rates = rows[0] / 60, columns[0] / 60
    limits = [clustered_rate_interval(each, n, 0.95) for each in (first, second)]
    (l1, u1), (l2, u2) = limits
    low = np.sqrt((rates[0] - l1) ** 2 - 2 * phi * (rates[0] - l1) * (u2 - rates[1]) + (u2 - rates[1]) ** 2)
    high = np.sqrt((u1 - rates[0]) ** 2 - 2 * phi * (u1 - rates[0]) * (rates[1] - l2) + (rates[1] - l2) ** 2)
    found = rate_difference((first, second), (n, n), 0.95)
    assert found == pytest.approx(
        (rates[0] - rates[1], rates[0] - rates[1] - low, rates[0] - rates[1] + high)
    )


def test_pairing_narrows_and_is_antisymmetric() -> None:
    rng = np.random.default_rng(1)
    n = np.full(12, 40)
    base = rng.binomial(40, rng.beta(1, 1, 12))
    more = np.minimum(40, base + 2)
    paired = rate_difference((more, base), (n, n), 0.95)
    apart = rate_difference((rng.permutation(more), base), (n, n), 0.95)
    assert paired.high - paired.low < 0.7 * (apart.high - apart.low)
    back = rate_difference((base, more), (n, n), 0.95)
    assert back == pytest.approx((-paired.value, -paired.high, -paired.low))


def test_rates_of_0_and_1_keep_a_width() -> None:
    n = np.full(6, 40)
    found = rate_difference((n, 0 * n), (n, n), 0.95)
    assert found.value == found.high == 1.0
    assert 0.7 < found.low < 0.99
    same = rate_difference((0 * n, 0 * n), (n, n), 0.95)
    assert same.low < 0 == same.value < same.high


def test_only_situations_of_both_count() -> None:
    first, second = np.array([5, 9, 0]), np.array([1, 0, 7])
    found = rate_difference((first, second), (np.array([10, 10, 0]), np.array([10, 0, 10])), 0.95)
    assert found == rate_difference((first[:1], second[:1]), (np.array([10]), np.array([10])), 0.95)
    assert np.isnan(rate_difference((first, second), (np.zeros(3), np.ones(3)), 0.95)).all()


@pytest.mark.parametrize("situations", [6, 12, 36])
@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (0.9, 0.05), (0.03, 0.01)])
def test_coverage(situations: int, first: float, second: float) -> None:
    """Situations differ (beta-distributed rates); the truth is the difference of the means."""
    rng = np.random.default_rng(2)
    n, hits = np.full(situations, 40), 0
    spread = 3 if first > 0.1 else 20
    for _ in range(400):
        rates = (rng.beta(mean * spread, (1 - mean) * spread, situations) for mean in (first, second))
        events = tuple(rng.binomial(40, rate) for rate in rates)
        found = rate_difference(events, (n, n), 0.95)
        hits += found.low <= first - second <= found.high
    # 95% less what the estimate from few situations costs, as the docstring says.
    assert hits / 400 >= {6: 0.88, 12: 0.9, 36: 0.92}[situations]


def _table() -> xr.Dataset:
    rate = np.zeros((3, 4, 3))
    rate[1, :, 0] = [1.0, 0.5, 0.25, 0.0]
    rate[2] = np.nan
    n = np.array([[40] * 4, [40] * 4, [0] * 4], np.int32)
    return xr.Dataset(
        {"n": (("variant", "situation"), n), "rate": (("variant", "situation", "outcome"), rate)},
        coords={
            "variant": np.array(["base", "general@1.0", "narrow@1.0"], dtype=object),
            "outcome": np.array(["harmful", "safe", "neither"], dtype=object),
            "situation": ("situation", np.array(["a", "b", "c", "c"], dtype=object)),
            "situation_domain": ("situation", np.array(["x", "x", "y", "y"], dtype=object)),
            "situation_held_out": ("situation", np.array([False, True, False, True])),
        },
    )


def test_differences_by_domain_and_split() -> None:
    frame = differences(_table(), "harmful", 0.95)
    assert set(frame["variant"]) == {"general@1.0"}  # narrow was not sampled
    found = frame.set_index(["domain", "held_out"])["difference"].to_dict()
    assert found == {
        ("all", False): pytest.approx(0.625),
        ("all", True): pytest.approx(0.25),
        ("x", False): 1.0,
        ("x", True): 0.5,
        ("y", False): 0.25,
        ("y", True): 0.0,
    }
    assert (frame["low"] <= frame["difference"]).all()
    assert (frame["difference"] <= frame["high"]).all()
    assert frame.set_index(["domain", "held_out"])["n_situations"].to_dict()["all", True] == 2
