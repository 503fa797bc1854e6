"""A feature that one more prompt brings, active in too few situations, is in no set that is measured."""

from typing import Final

import numpy as np
import pytest

from pipeline.analysis.faithfulness_sets import firsts, matched_orders, ordered, random_orders
from pipeline.analysis.validation_sets import choose
from pipeline.params.project import load_params
from tests.support.places import ROOT

N: Final = 120
LAYERS: Final = 3
RANKING: Final = ("direct", "evil-safe|base")


class World:
    """Features by row, with some between them that are new: named, scored by nothing, not allowed."""

    def __init__(self, n_new: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        score = rng.normal(size=N).round(1)  # with ties
        moved = rng.random(N) * (rng.random(N) < 0.8)  # some stay as they are
        allowed, layer = rng.random(N) < 0.8, np.sort(rng.integers(LAYERS, size=N))
        place = np.sort(rng.integers(0, N + 1, n_new))
        of_new = np.minimum(place, N - 1)
        self.name = np.insert(np.arange(N), place, -1)
        self.score = np.insert(score, place, 0.0)
        self.moved = np.insert(moved, place, 0.0)
        self.allowed = np.insert(allowed, place, False)
        self.layer = np.insert(layer, place, layer[of_new])

    def names(self, rows: np.ndarray) -> list[int]:
        names: list[int] = self.name[rows].tolist()
        return names


@pytest.mark.parametrize("seed", range(5))
def test_what_validation_measures_is_the_same(seed: int) -> None:
    params = load_params(ROOT / "params.yaml").validation.model_copy(update={"features": 30, "top": 5})
    found = []
    for n_new in (0, 40):
        world = World(n_new, seed)
        choice = choose({RANKING: world.score}, params, world.allowed, seed)
        found.append(([[world.names(np.array(each)) for each in choice.sets]], choice.compared))
    assert found[0] == found[1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("order", ["direct", "activation"])
def test_what_faithfulness_measures_is_the_same(seed: int, order: str) -> None:
    found = []
    for n_new in (0, 40):
        world = World(n_new, seed)
        first = ordered(order, world.score, world.allowed, 20)
        matched = matched_orders(first, world.layer, world.moved, world.allowed, 3, 5, seed)
        rows = [first, *random_orders(world.allowed, 4, 20, seed), *matched, firsts([first], 5)]
        found.append([world.names(each) for each in rows])
    assert found[0] == found[1]
    assert all(-1 not in each for each in found[1])
