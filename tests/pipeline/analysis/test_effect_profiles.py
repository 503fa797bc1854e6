"""Profiles that do alike, or the opposite, stand together, whatever their size and order."""

import numpy as np
import pytest

from pipeline.analysis.effect_profiles import clusters


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_kinds_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = np.eye(3, 12) + 0.5 * np.eye(3, 12, 3)
    kind = rng.permutation(np.repeat([0, 1, 2], 4))
    scale = rng.choice([-1, 1], 12) * rng.uniform(0.1, 10, 12)
    effects = (kinds[kind] + 0.02 * rng.normal(size=(12, 12))) * scale[:, None]
    order, cluster = clusters(effects, 3)
    assert sorted(order.tolist()) == list(range(12))
    assert {(a, b) for a, b in zip(kind, cluster, strict=True)} == set(
        dict(zip(kind.tolist(), cluster.tolist(), strict=True)).items()
    ), "one cluster a kind"
    assert cluster[order].tolist() == sorted(cluster.tolist()), "clusters are counted along the tree"


def test_what_does_nothing_is_in_no_cluster() -> None:
    effects = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    order, cluster = clusters(effects, 2)
    assert order[-1] == 0
    assert cluster[0] == 0
    assert set(cluster[1:]) == {1, 2}
    order, cluster = clusters(effects[:2], 2)
    assert (order.tolist(), cluster.tolist()) == ([1, 0], [0, 1])
    order, cluster = clusters(np.empty((0, 3)), 2)
    assert len(order) == len(cluster) == 0
