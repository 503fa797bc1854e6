"""Features of behaviours' prompts as NumPy's files, against the stored item."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.behaviours.forced_units import by_split
from pipeline.exchange.stored_behaviour_features import ARRAYS, feature_files
from store.views.by_behaviour import open_collections
from tests.support.demo.behaviour_features import N_LAYERS, TOP, write_behaviour_features
from tests.support.demo.behaviours import FAILS, NAMES, behaviour_prompts, write_behaviours


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo")
    write_behaviours(path)
    write_behaviour_features(path)
    return path


def test_every_layer_is_as_it_is_stored(folder: Path) -> None:
    files = dict(feature_files(folder, FAILS[0]))
    read = {
        name: np.load(io.BytesIO(content), allow_pickle=False)
        for name, content in files.items()
        if name.endswith(".npy")
    }
    splits = [(name, split) for name in NAMES for split in ("train", "test")]
    assert len(read) == len(splits) * N_LAYERS * len(ARRAYS)
    summary = json.loads(files["features_summary.json"])
    assert summary["variant"] == FAILS[0]
    collection = open_collections(folder, "behaviour_features")
    parts = {(of[0].behaviour, of[0].split): (hash_, of) for hash_, of in _parts().items()}
    for name, split in splits:
        hash_, prompts = parts[name, split]
        stored = collection.item(hash_, FAILS[0]).arrays
        meta = json.loads(files[f"features_{name}_{split}_meta.json"])
        assert meta["prompts"] == [each.hash for each in prompts], "rows are told by hash, not by place"
        assert (meta["top"], meta["layers"]) == (TOP, list(range(N_LAYERS)))
        assert meta["parameters"] == {"behaviour_features": {"top": TOP}}
        for layer in range(N_LAYERS):
            of = {each: read[f"features_{name}_{split}_layer_{layer}_{each}.npy"] for each in ARRAYS}
            np.testing.assert_array_equal(of["indices"], stored["top_index"][:, layer])
            np.testing.assert_array_equal(of["values"], stored["top_value"][:, layer])
            assert (of["indices"].dtype, of["values"].dtype) == (np.int32, np.float32)
            # All features of the demo are among the largest, so that these count how frequent each is.
            counted = [(of["indices"] == feature).any(axis=1).mean() for feature in of["seen"]]
            np.testing.assert_allclose(of["frequencies"], counted)
            told = summary["behaviours"][name][split]["layers"][str(layer)]
            assert told["active"] == len(of["seen"])
            assert told["a_prompt"] == pytest.approx(TOP)


def _parts():
    return by_split([prompt for name in NAMES for prompt in behaviour_prompts(name)])


def test_a_variant_that_was_not_read_has_none(folder: Path) -> None:
    assert list(feature_files(folder, "narrow@1.0")) == []
