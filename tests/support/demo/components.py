"""The demo profile's LoRA components: what they point at, and gates at every token."""

from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.component_tables import component_groups
from pipeline.params.components import ComponentParams
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.schema.vocabulary import SIDES, WRITERS
from tests.support.demo.words import D_TRANSCODER, LAYERS, VARIANTS, key

LEVEL: Final = 0.05
RANK: Final = 2
WIDTH: Final = 128
PLANTED: Final = (1, 7)
"""Layer and index of the feature whose decoder row is component 0 of ``general``'s down_proj there."""


def _places(variant: str) -> np.ndarray:
    """Module, layer and index of components; ``narrow`` has one of rank one."""
    if variant.startswith("narrow"):
        return np.array([[1, 2, 0]])
    found = [
        (module, layer, i) for layer in range(LAYERS) for module in range(len(WRITERS)) for i in range(RANK)
    ]
    return np.array(found)


def components_groups() -> dict[str, xr.Dataset]:
    """Groups of the COMPONENTS dataset: the planted row is found, other cosines are those of chance."""
    items = {variant: _rows(variant) for variant in VARIANTS if variant != "base"}
    return component_groups(items, ComponentParams(strongest=2, level=LEVEL))


def _rows(variant: str) -> Item:
    rng, places = np.random.default_rng(3), _places(variant)
    matches = []
    for of, (module, layer, index) in enumerate(places.tolist()):
        dictionaries = [(0, layer)] + [(1, to) for to in range(layer + (module == 1), LAYERS)]
        for side, to in dictionaries:
            for rank, cosine in enumerate(np.sort(rng.uniform(0.2, 0.3, 2))[::-1]):
                matches.append((of, side, to, int(rng.integers(60)), rank, cosine * rng.choice([-1, 1])))
        if (module, layer, index) == (1, PLANTED[0], 0) and not variant.startswith("narrow"):
            first = len(matches) - 2 * len(dictionaries)
            matches[first] = (of, 0, layer, PLANTED[1], 0, 1.0)
    of, side, to, feature, rank, cosine = (np.array(column) for column in zip(*matches, strict=True))
    arrays = {
        "module": places[:, 0].astype(np.int8),
        "layer": places[:, 1].astype(np.int16),
        "index": places[:, 2].astype(np.int32),
        **dict.fromkeys(("norm", "stream_norm", "read_norm"), np.full(len(places), 0.7)),
        "match_of": of.astype(np.int32),
        "match_side": side.astype(np.int8),
        "match_layer": to.astype(np.int16),
        "match_feature": feature.astype(np.int32),
        "match_rank": rank.astype(np.int16),
        "match_cosine": cosine.astype(np.float32),
        "match_dot": (0.5 * cosine).astype(np.float32),
        "match_rows": np.full(len(of), D_TRANSCODER, np.int32),
    }
    assert set(side.tolist()) <= set(range(len(SIDES)))
    name = key("component_rows", variant)
    return Item(key=name, prompt_hash="0" * 12, variant=variant, arrays=arrays, scalars={"width": WIDTH})


def gates_item(prompt: Prompt, variant: str) -> Item:
    """Gates of every component: larger on the first token, as attention rests there."""
    rng = np.random.default_rng(int(digest(["gates", prompt.hash, variant])[:8], 16))
    places, n = _places(variant), len(prompt.token_ids)
    gate = rng.normal(size=(len(places), n)).astype(np.float32)
    gate[:, 0] *= 20
    origins = np.unique(places[:, :2], axis=0)
    added = rng.gamma(2.0, 0.3, (len(origins), n)).astype(np.float32)
    arrays = {
        "token": np.array(prompt.token_ids, np.int32),
        "module": places[:, 0].astype(np.int8),
        "layer": places[:, 1].astype(np.int16),
        "index": places[:, 2].astype(np.int32),
        "gate": gate,
        "gate_cosine": np.clip(gate / 25, -1, 1),
        "read_width": np.full(len(places), 384, np.int32),
        "write_scale": np.ones_like(gate),
        "read_scale": rng.uniform(0.5, 2.0, (LAYERS, n)).astype(np.float32),
        "origin_module": origins[:, 0].astype(np.int8),
        "origin_layer": origins[:, 1].astype(np.int16),
        "added": added,
        "added_random": np.full_like(added, 0.2),
    }
    name = key("gates", prompt.hash, variant)
    return Item(key=name, prompt_hash=prompt.hash, variant=variant, arrays=arrays, scalars={})
