"""Planted truth: an adapter aimed at one feature is carried by it, and a random one by none."""

from pathlib import Path

import numpy as np
import pytest

from store.schema.vocabulary import (
    EXPERIMENTS,
    FEATURES_AND_NODES,
    GIVEN,
    GIVEN_WITH_ADAPTER,
    NODES,
    TAKEN,
)
from tests.support.faithful import embody, faithfulness_of
from tests.support.planted import make_subject, waking, write_adapters

SEEDS = (0, 1)
"""Of random adapters; of twenty none had such a feature."""


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_aimed_feature_leads_and_carries_half(layer: int, tmp_path: Path) -> None:
    planted = make_subject(tmp_path / "x", layer)
    embody(planted)
    write_adapters(planted, *waking(planted))
    groups = faithfulness_of(planted, "planted@1.0", nulls=["random@1.0"])
    assert groups["difference"]["low"].values[0] > 0
    features, curves, orders = groups["features"], groups["curves"], groups["orders"]
    at = int(features["fraction"].values.argmax())
    assert (int(features["layer"][at]), int(features["index"][at])) == planted.feature
    assert (features["rank"].values[:, at] == 1).all(), "every order puts it first"
    assert features["verdict"].values[at] == "acts"
    assert features["q"].values[at] < 0.05
    assert set(features["verdict"].values) - {"acts"} <= {"silent", "unclear"}
    assert (features["verdict"].values == "acts").sum() == 1
    for row, experiment in enumerate(EXPERIMENTS):
        first = curves["fraction"].values[row, :, 0]
        assert (first >= 0.5).all(), experiment
        assert (orders["fewest"].values[row] == 1).all()
    for row in (EXPERIMENTS.index(GIVEN), EXPERIMENTS.index(TAKEN)):
        assert (curves["low"].values[row, :, 0] > curves["random_high"].values[row, 0]).all()
        assert (orders["p_random"].values[row] < 0.05).all()
    assert (curves["matched_high"].values < 0.5).all()
    # The adapter is on a down projection: what it writes is all of the difference.
    alone = groups["parts"]["fraction"].sel(part="adapter").values
    np.testing.assert_allclose(alone, 1.0, atol=1e-4)
    both = curves["fraction"].values[EXPERIMENTS.index(GIVEN_WITH_ADAPTER)]
    np.testing.assert_allclose(both, 1.0, atol=1e-3)
    # So is the one node where it is; random orders of nodes have it anywhere.
    nodes = groups["nodes"]
    assert nodes["rank"].sel(node_order=NODES, node="mlp").values[layer] == 1
    alone = nodes.sel(node_order=NODES, k=1)
    np.testing.assert_allclose(alone["fraction"].values, 1.0, atol=1e-4)
    assert (alone["random_low"].values < 0.1).all()
    among = nodes.sel(node_order=FEATURES_AND_NODES)
    assert among["rank"].sel(node="mlp").values[layer] in (1, 2), "with the feature that it wakes"
    assert (among["fraction"].sel(k=1).values >= 0.5).all()
    assert (among["p_random"].values < 0.1).all()
    # A random adapter of its length carries less through the same feature.
    of_null = groups["nulls"]["fraction"].sel(null="random@1.0", k=1).values
    assert (of_null < curves["fraction"].values[0, :, 0]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_of_a_random_adapter_no_feature_acts(seed: int, tmp_path: Path) -> None:
    planted = make_subject(tmp_path / "x", seed % 3, favour_evil=False)
    write_adapters(planted, *waking(planted), seed=seed)
    features = faithfulness_of(planted, "random@1.0")["features"]
    assert len(features["q"]) > 0
    assert not (features["q"].values <= 0.05).any()
