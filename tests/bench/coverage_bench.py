"""How often 95% intervals over situations hold the truth: shapes, sparsities and sizes (trap 35).

An interval that says "too few" counts as holding it: it claims nothing. The lowest bar is of every case,
the highest of those in which under 1% say so. Beside the bars, the percentile bootstrap, which a user
would take instead, and shapes that no interval over a dozen situations is right for as well: values of
which few outweigh all others (gamma, log-normal), uneven humps, of which a few situations now and then
show one alone, and the flat humps of the arcsine, which are held more often than said.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.stats import beta

from pipeline.analysis.intervals import clustered_rate_interval, pooled_rate_icc, studentized_interval
from pipeline.analysis.paired_rates import rate_difference

SIZES: Final = (8, 12, 24, 69)
ACTIVE: Final = (1.0, 0.5, 0.15)
"""Shares of situations in which a feature is active; its effect is 0 in the others."""
CASES: Final = 4000
RESAMPLES: Final = 1000
_RATES: Final = 1000

_Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
SHAPES: Final[dict[str, _Draw]] = {  # each of mean 1
    "normal": lambda rng, shape: rng.normal(1, 1, shape),
    "heavy": lambda rng, shape: rng.laplace(1, 1, shape),
    "skewed": lambda rng, shape: rng.exponential(1, shape),
    "two humps": lambda rng, shape: rng.choice([0.3, 1.7], shape) + rng.normal(0, 0.2, shape),
}
BESIDE: Final[dict[str, tuple[int, _Draw]]] = {  # each of mean 1, with the situations in which it is hard
    "gamma 0.5": (8, lambda rng, shape: rng.gamma(0.5, 2, shape)),
    "log-normal": (12, lambda rng, shape: rng.lognormal(-0.5, 1, shape)),
    "arcsine": (12, lambda rng, shape: 2 * rng.beta(0.5, 0.5, shape)),
    "uneven humps": (
        24,
        lambda rng, shape: rng.choice([0.86, 2.26], shape, p=[0.9, 0.1]) + rng.normal(0, 0.2, shape),
    ),
}


def covered(draw: _Draw, n: int, active: float, seed: int) -> tuple[float, float, float]:
    """Share of intervals that hold the mean, that say "too few", and of percentile ones that hold it."""
    rng = np.random.default_rng(seed)
    values = draw(rng, (n, CASES)) * (rng.random((n, CASES)) < active)
    low, high = studentized_interval(values, RESAMPLES, 0.95, rng)
    few = np.isnan(low)
    drawn = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) @ values / n
    below, above = np.quantile(drawn, [0.025, 0.975], axis=0)
    holds = few | ((low <= active) & (active <= high))
    return float(holds.mean()), float(few.mean()), float(((below <= active) & (active <= above)).mean())


def rate_coverage(n: int, rate: float, icc: float, seed: int) -> float:
    """Share of intervals of a rate that hold it: n situations of 40 samples, whose `icc` is known."""
    rng = np.random.default_rng(seed)
    spread = 1 / icc - 1
    hits = 0
    for _ in range(_RATES):
        successes = rng.binomial(40, rng.beta(rate * spread, (1 - rate) * spread, n))
        low, high = clustered_rate_interval(successes, np.full(n, 40), 0.95, icc=icc)
        hits += low <= rate <= high
    return hits / _RATES


def misalignment_coverage(rate: float, extra: float, icc: float, seed: int) -> tuple[float, float, float]:
    """Share of intervals that hold a rate over all questions, and a difference from base; and of percentiles.

    Eight questions of 50 answers, of three variants like base and one with a higher rate, from beta
    distributions whose questions have the same rank in each. Percentiles are of the rate, over a
    bootstrap of questions.
    """
    rng = np.random.default_rng(seed)
    spread, n = 1 / icc - 1, np.full(8, 50)
    rates = [rate, rate, rate, rate + extra]
    hits = np.zeros(3)
    for _ in range(_RATES):
        rank = rng.random(8)
        of_rate = {each: beta.ppf(rank, each * spread, (1 - each) * spread) for each in set(rates)}
        true = [of_rate[each] for each in rates]
        events = [rng.binomial(n, each) for each in true]
        pooled = pooled_rate_icc((of, n) for of in events)
        low, high = clustered_rate_interval(events[-1], n, 0.95, icc=pooled)
        found = rate_difference((events[-1], events[0]), (n, n), 0.95, icc=pooled)
        drawn = rng.multinomial(8, np.full(8, 1 / 8), RESAMPLES) @ events[-1] / n.sum()
        below, above = np.quantile(drawn, [0.025, 0.975])
        hits += low <= rates[-1] <= high, found.low <= extra <= found.high, below <= rates[-1] <= above
    holds, of_difference, percentile = hits / _RATES
    return float(holds), float(of_difference), float(percentile)


def coverage_figures(folder: Path) -> dict[str, Any]:
    """Lowest coverage over every case, and the highest where no interval says "too few"."""
    found = {
        f"{name}, n = {n}, {active:.0%} active": covered(draw, n, active, seed)
        for seed, ((name, draw), n, active) in enumerate(product(SHAPES.items(), SIZES, ACTIVE))
    }
    told = [holds for holds, few, _ in found.values() if few < 0.01]
    rates = [rate_coverage(n, rate, 0.3, 0) for n in (6, 12) for rate in (0.05, 0.2, 0.5)]
    beside = {f"{name}, n = {n}": covered(draw, n, 1.0, 0) for name, (n, draw) in BESIDE.items()}
    answers = {
        f"rate {rate:.0%} and {extra:.0%} more, ICC {icc}": misalignment_coverage(rate, extra, icc, 0)
        for rate, extra, icc in product((0.02, 0.1), (0.0, 0.3), (0.05, 0.3))
    }
    # In most draws no question shows that one in eight would have all of it, in any variant.
    rare = answers.pop("rate 2% and 0% more, ICC 0.3")
    return {
        "interval_coverage_lowest": min(holds for holds, _, _ in found.values()),
        "interval_coverage_highest": max(told),
        "rate_coverage_lowest": min(rates),
        "misalignment_coverage_lowest": min(min(each[:2]) for each in answers.values()),
        "raw": {
            "coverage": {
                name: {"bootstrap-t": holds, "too few": few, "percentile": percentile}
                for name, (holds, few, percentile) in (found | beside).items()
            },
            "misalignment_coverage": {
                name: dict(zip(("rate", "difference", "percentile"), each, strict=True))
                for name, each in (answers | {"rate 2% of few questions": rare}).items()
            },
        },
    }
