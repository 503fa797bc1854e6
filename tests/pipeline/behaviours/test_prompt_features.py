"""Features where behaviours are answered, against the very activations of graphs, one prompt at a time."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.behaviours.prompt_features import prompt_features
from pipeline.features.activations import feature_activations
from pipeline.models.replacement import ReplacementModel
from store.collections.item import Item
from store.format.validation import check_item
from store.schema.circuits import BEHAVIOUR_FEATURES
from tests.support.builders import make_checkpoint
from tests.support.subjects import make_pool

PROMPTS = [[1, 40, 41, 42], [1, 50], [1, 60, 61, 62, 63, 64, 65]]
POSITIONS = [[0, 2, 3], [1], [6]]
LAYERS = [0, 2]
TOP = 6


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ReplacementModel:
    folder: Path = tmp_path_factory.mktemp(request.param) / "x"
    return make_pool(make_checkpoint(folder, architecture=request.param), "per layer").replacement("base")


@pytest.mark.parametrize("batch", [1, 8])
def test_features_are_those_of_graphs(model: ReplacementModel, batch: int) -> None:
    found = prompt_features(model, PROMPTS, POSITIONS, LAYERS, top=TOP, values=True, batch=batch)
    item = Item(key="0" * 64, prompt_hash="0" * 12, variant="base", arrays=found, scalars={"n_prompts": 3})
    check_item(item, BEHAVIOUR_FEATURES)
    seen: dict[tuple[int, int], list[float]] = {}
    every: dict[tuple[int, int, int, int], float] = {}
    for number, (ids, positions) in enumerate(zip(PROMPTS, POSITIONS, strict=True)):
        active = feature_activations(model, ids)
        for place, layer in enumerate(LAYERS):
            largest: dict[int, float] = {}
            here = (active.layer == layer) & np.isin(active.position, positions)
            for at, index, value in zip(
                active.position[here].tolist(),
                active.feature[here].tolist(),
                active.value[here].tolist(),
                strict=True,
            ):
                largest[index] = max(largest.get(index, 0.0), value)
                every[number, layer, at, index] = value
            order = sorted(largest, key=lambda index: -largest[index])[:TOP]
            assert len(order) == TOP
            assert found["top_index"][number, place].tolist() == order
            values = [largest[index] for index in order]
            np.testing.assert_allclose(found["top_value"][number, place], values, rtol=1e-4)
            for index, value in largest.items():
                seen.setdefault((layer, index), []).append(value)
    names = list(zip(found["seen_layer"].tolist(), found["seen_index"].tolist(), strict=True))
    assert names == sorted(seen)
    assert found["seen_prompts"].tolist() == [len(seen[name]) for name in names]
    np.testing.assert_allclose(found["seen_mean"], [np.mean(seen[name]) for name in names], rtol=1e-4)
    parts = ("prompt", "layer", "position", "index")
    rows = list(zip(*(found[f"value_{name}"].tolist() for name in parts), strict=True))
    assert rows == sorted(every)
    np.testing.assert_allclose(found["value"], [every[row] for row in rows], rtol=1e-4)


def test_few_features_leave_room_and_values_are_kept_on_request_only(model: ReplacementModel) -> None:
    found = prompt_features(model, PROMPTS, [[0], [1], []], [1], top=100, values=False, batch=8)
    assert len(found["value"]) == 0
    count = (found["top_index"] >= 0).sum(axis=-1)[:, 0]
    assert count[0] == count[2] == 0, "BOS is zeroed, and no position is none"
    assert 0 < count[1] < 100
    assert (found["top_value"][found["top_index"] < 0] == 0).all()
    assert found["seen_prompts"].tolist() == [1] * int(count[1])
