"""How firm an order is: by brute force, and where the answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.analysis.stability import RESAMPLES, kept_share, sign_consistency


def share(values: np.ndarray, *, first: int = 5, step: int = 1 << 14, seed: int = 0) -> float:
    features = np.arange(values.shape[1])
    rng = np.random.default_rng(seed)
    return kept_share(lambda columns: values[:, columns], len(values), features, rng, first=first, step=step)


def test_it_is_what_drawing_situations_one_by_one_gives() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(9, 40)) + np.linspace(0, 1.5, 40)
    top = set(np.argsort(-values.mean(axis=0))[:5].tolist())
    counts = np.random.default_rng(0).multinomial(9, np.full(9, 1 / 9), size=RESAMPLES)
    found = []
    for row in counts:
        drawn = np.repeat(values, row, axis=0)
        found.append(len(top & set(np.argsort(-drawn.mean(axis=0))[:5].tolist())) / 5)
    assert share(values) == pytest.approx(np.mean(found))
    assert share(values, step=7) == pytest.approx(np.mean(found))


def test_effects_that_are_alike_everywhere_stay_and_noise_does_not() -> None:
    rng = np.random.default_rng(2)
    firm = np.repeat(np.linspace(1, 0, 100)[None], 12, axis=0)
    assert share(firm) == 1.0
    noise = rng.normal(size=(12, 2000))
    assert share(noise) < 0.45


@pytest.mark.parametrize("shape", [(1, 100), (12, 5)])
def test_too_few_are_not_told(shape: tuple[int, int]) -> None:
    assert np.isnan(share(np.ones(shape)))


@given(arrays(np.float64, (6, 4), elements=st.sampled_from([-2.0, -1.0, 0.0, 0.0, 1.0, 3.0])))
def test_signs_are_counted_where_there_is_an_effect(values: np.ndarray) -> None:
    for column, found in zip(values.T, sign_consistency(values), strict=True):
        acting = column[column != 0]
        if not len(acting):
            assert np.isnan(found)
        else:
            mean = column.mean()
            alike = acting > 0 if mean > 0 else acting < 0 if mean < 0 else np.zeros(len(acting), bool)
            assert found == pytest.approx(alike.mean())
