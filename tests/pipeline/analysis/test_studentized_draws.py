"""Draws in their own standard errors, against each draw by itself."""

import numpy as np
import pytest

from pipeline.analysis import studentized as module
from pipeline.analysis.studentized import studentized_draws


@pytest.mark.parametrize("cached", [1, 1 << 8, 1 << 16])
def test_they_are_those_of_each_draw(cached: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHED", cached)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 9))
    values[:, 0] = [1, 1, 1, 1, 1, 1, 0]  # most draws are of equal values
    values -= values.mean(axis=0)
    values /= np.abs(values).max(axis=0)
    places = rng.integers(7, size=(60, 7))
    of_each = np.empty((60, 9))
    for row, drawn in enumerate(places):
        mean, error = values[drawn].mean(axis=0), values[drawn].std(axis=0, ddof=1) / np.sqrt(7)
        same = np.isclose(error, 0, atol=1e-9)
        far = np.where(np.abs(mean) < 1e-9, 0.0, np.sign(mean) * np.inf)
        of_each[row] = np.where(same, far, mean / np.where(same, 1.0, error))
    total, squares = values[places].sum(axis=1), (values[places] ** 2).sum(axis=1)
    found = studentized_draws(total, squares, 7, [2, 57])
    np.testing.assert_allclose(found, np.sort(of_each, axis=0)[[2, 57]], rtol=1e-9, atol=1e-9)


def test_no_feature_is_no_fault() -> None:
    assert studentized_draws(np.empty((10, 0)), np.empty((10, 0)), 4, [0, 9]).shape == (2, 0)
