"""Of twenty random adapters, as large as the planted one, a feature is said to act in one at most."""

from pathlib import Path

import pytest

from tests.support.faithful import faithfulness_of
from tests.support.planted import make_subject, waking, write_adapters

pytestmark = pytest.mark.bars


def test_of_random_adapters_hardly_a_feature_acts(tmp_path: Path) -> None:
    found = []
    for seed in range(20):
        planted = make_subject(tmp_path / str(seed), seed % 3, favour_evil=False)
        write_adapters(planted, *waking(planted), seed=seed)
        features = faithfulness_of(planted, "random@1.0")["features"]
        assert len(features["q"]) > 0
        found.append(bool((features["q"].values <= 0.05).any()))
    assert sum(found) <= 1, found
