"""Features of the demo's behaviours: made-up activations, by base and the focus adapter."""

from pathlib import Path

import numpy as np

from pipeline.behaviours.forced_units import by_split
from store.collections.item import Item
from store.collections.writer import write_collection
from store.schema.circuits import BEHAVIOUR_FEATURES
from store.views.by_behaviour import place
from tests.support.demo.behaviours import NAMES, behaviour_prompts
from tests.support.demo.circuits import TRACED
from tests.support.demo.words import PROVENANCE, key

TOP = 3
N_LAYERS = 2


def behaviour_item(rng: np.random.Generator, of: str, n: int, variant: str) -> Item:
    """Of `n` prompts, whose hash is `of`."""
    values = np.sort(rng.uniform(0.1, 5, (n, N_LAYERS, TOP)))[..., ::-1].astype(np.float32)
    index = rng.permuted(np.tile(np.arange(9), (n, N_LAYERS, 1)), axis=-1)[..., :TOP].astype(np.int32)
    seen = [np.unique(index[:, layer], return_counts=True) for layer in range(N_LAYERS)]
    sizes = [len(of_layer[0]) for of_layer in seen]
    arrays = {
        "layer": np.arange(N_LAYERS, dtype=np.int16),
        "top_index": index,
        "top_value": values,
        "seen_layer": np.repeat(np.arange(N_LAYERS), sizes).astype(np.int16),
        "seen_index": np.concatenate([each[0] for each in seen]).astype(np.int32),
        "seen_prompts": np.concatenate([each[1] for each in seen]).astype(np.int32),
        "seen_mean": np.ones(sum(sizes), np.float32),
        **{f"value_{name}": np.empty(0, np.int32) for name in ("prompt", "position", "index")},
        "value_layer": np.empty(0, np.int16),
        "value": np.empty(0, np.float32),
    }
    return Item(
        key=key("behaviour features", of, variant),
        prompt_hash=of,
        variant=variant,
        arrays=arrays,
        scalars={"n_prompts": n},
    )


def write_behaviour_features(folder: Path) -> None:
    """Write the collections below a profile's folder: what is largest, and every feature, of two layers."""
    rng = np.random.default_rng(8)
    origin = PROVENANCE | {"parameters": {"behaviour_features": {"top": TOP}}}
    for name in NAMES:
        parts = by_split(behaviour_prompts(name))
        items = [behaviour_item(rng, of, len(parts[of]), variant) for variant in TRACED for of in parts]
        path = folder / place(BEHAVIOUR_FEATURES.kind, name)
        write_collection(path, BEHAVIOUR_FEATURES, items, provenance=origin)
