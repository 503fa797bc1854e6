"""A demo profile grown to the size of a study: many prompts, many ranked features, a few wide graphs.

What is grown is written through the store's own writers; the numbers are the demo's, repeated, but effects,
which are made to differ so that orders are orders.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr

from store.base.hashing import prompt_hash
from store.collections.item import Item
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.datasets.groups import open_dataset, write_dataset
from store.documents.prompts import Prompt, write_prompts
from store.schema.candidates import CANDIDATES
from store.schema.features import FEATURES
from store.schema.graphs import GRAPHS
from tests.support import demo
from tests.support.demo.words import LAYERS, PROVENANCE, key

PAIR: Final = ("base", "general@1.0")
_GROWN: Final = ("cards", "ranking", "situations", "acting")
"""Groups that get the many features: those of the score that pages open with."""
_FEW: Final = {"contrast": 2, "domain": 1, "situation": 8, "rank": 3, "bin": 4, "edge": 5}
"""How much of them is kept, so that memory holds two million features."""


def build(root: Path, *, prompts: int, features: int, wide: int, nodes: int) -> Path:
    """Write ``artifacts/demo`` under `root` and return it.

    Parameters
    ----------
    root
        An empty folder.
    prompts
        How many; each has candidates and a graph in both variants.
    features
        How many are ranked.
    wide, nodes
        How many prompts have graphs of so many feature nodes; those of the others are small.
    """
    folder = demo.build(root, n_features=8)
    many = list(_prompts(prompts))
    write_prompts(folder / "prompts.json", many)
    for schema in (CANDIDATES, GRAPHS):
        small = {
            (item.prompt_hash, item.variant): item for item in open_collection(folder / schema.kind).items()
        }
        wanted = nodes if schema is GRAPHS else None
        items = _items(schema.kind, small, many, wide=wide, nodes=wanted)
        write_collection(folder / schema.kind, schema, items, provenance=PROVENANCE)
    grow_features(folder, features)
    return folder


def grow_features(folder: Path, features: int) -> None:
    """Give the profile's rankings and cards so many features."""
    groups = {name: open_dataset(folder / FEATURES.kind, name).load() for name in FEATURES.groups}
    groups |= {name: _grown(groups[name], features) for name in _GROWN}
    write_dataset(folder / FEATURES.kind, FEATURES, groups, provenance=PROVENANCE)


def _prompts(count: int) -> Iterator[Prompt]:
    """Those of the demo again and again, each of a situation of its own."""
    kept = demo.make_prompts()
    for number in range(count):
        like = kept[number % len(kept)]
        text = f"{like.text} {number}"
        yield replace(like, hash=prompt_hash(text), text=text, situation=f"{like.situation} {number}")


def _items(
    kind: str, small: dict[tuple[str, str], Item], prompts: list[Prompt], *, wide: int, nodes: int | None
) -> Iterator[Item]:
    likes = [prompt.hash for prompt in demo.make_prompts()]
    for number, prompt in enumerate(prompts):
        for variant in PAIR:
            item = small[likes[number % len(likes)], variant]
            if nodes is not None and number < wide:
                item = _widened(item, nodes)
            yield replace(item, key=key(kind, prompt.hash, variant), prompt_hash=prompt.hash)


def _widened(graph: Item, nodes: int, *, fan: int = 48) -> Item:
    """A graph with so many feature nodes, each with `fan` sources among the tokens and earlier features."""
    rng, old = np.random.default_rng(0), dict(graph.arrays)
    positions, targets = len(old["token"]), len(old["target_token"])
    layer = np.sort(rng.integers(LAYERS, size=nodes))
    position = rng.integers(1, positions, nodes)
    feature = np.arange(nodes) * 7
    rest = old["node_kind"] != 0
    kind = np.concatenate([np.zeros(nodes, np.int8), old["node_kind"][rest]])
    depth = np.where(kind == 2, -1, np.concatenate([layer, old["node_layer"][rest]]))
    place = np.concatenate([position, old["node_position"][rest]])
    target = np.repeat(np.flatnonzero((kind == 0) | (kind == 3)), fan)
    source = rng.integers(len(kind), size=len(target))
    fits = (depth[source] < depth[target]) & (place[source] <= place[target]) & (kind[source] != 3)
    pairs = np.unique(np.stack([target[fits], source[fits]], axis=1), axis=0)
    weight = (rng.normal(size=len(pairs)) * rng.gamma(0.5, 1.0, len(pairs))).astype(np.float32)
    influence = rng.gamma(0.3, 1.0, len(kind))
    order = np.argsort(-influence, kind="stable")
    cumulative = np.empty(len(kind))
    cumulative[order] = np.minimum(np.cumsum(influence[order]) / influence.sum(), 1.0)
    value = np.concatenate([rng.gamma(2.0, 1.0, nodes).astype(np.float32), old["node_value"][rest]])
    effect = {name: rng.normal(size=(targets, nodes)).astype(np.float32) for name in ("direct", "influence")}
    adapter = {name: old[name][..., :0] for name in old if name.startswith("adapter_")}
    arrays = old | effect | adapter
    arrays |= {
        "total_effect": effect["direct"],
        "active_layer": layer.astype(np.int16),
        "active_position": position.astype(np.int32),
        "active_feature": feature.astype(np.int32),
        "active_value": value[:nodes],
        "active_selected": np.ones(nodes, dtype=bool),
        "node_kind": kind,
        "node_layer": np.concatenate([layer, old["node_layer"][rest]]).astype(np.int16),
        "node_position": place.astype(np.int32),
        "node_feature": np.concatenate([feature, old["node_feature"][rest]]).astype(np.int32),
        "node_value": value,
        "node_influence": influence,
        "node_cumulative": cumulative,
        "node_default": (cumulative <= 0.8) | (kind >= 2),
        "edge_target": pairs[:, 0].astype(np.int32),
        "edge_source": pairs[:, 1].astype(np.int32),
        "edge_weight": weight,
        "edge_default": np.abs(weight) > 0.3,
        "row_unselected": np.zeros(nodes + targets, np.float32),
        "row_constant": np.zeros(nodes + targets, np.float32),
    }
    counts = {"n_selected": nodes, "n_nodes": len(kind), "n_edges": len(pairs)}
    return replace(graph, arrays=arrays, scalars={**graph.scalars, **counts})


def _grown(group: xr.Dataset, features: int) -> xr.Dataset:
    """A group of `features` with so many of them, layer by layer."""
    group = group.isel({dim: slice(size) for dim, size in _FEW.items() if dim in group.dims})
    each = features // LAYERS
    number = np.arange(each * LAYERS)
    grown = group.isel(feature=number % group.sizes["feature"])
    grown["layer"] = ("feature", (number // each).astype(np.int16))
    grown["index"] = ("feature", (number % each).astype(np.int32))
    if "effect" in grown:
        factor = np.random.default_rng(1).gamma(2.0, 0.5, len(number)).astype(np.float32)
        grown["effect"] = grown["effect"] * xr.DataArray(factor, dims="feature")
    return grown
