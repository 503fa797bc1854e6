"""Random items and datasets that follow the schema."""

import math
from collections.abc import Mapping

import numpy as np
import xarray as xr

from store.base.hashing import digest
from store.collections.item import UNSTEERED, Item, Scalar
from store.schema.graphs import GRAPHS
from store.schema.specs import ArraySpec, CollectionSchema, DatasetSchema
from store.schema.vocabulary import FIXED_DIMS


def make_item(
    schema: CollectionSchema,
    prompt_hash: str,
    variant: str,
    *,
    seed: int = 0,
    longest: int = 12,
    setting: str = UNSTEERED,
    lengths: Mapping[str, int] | None = None,
) -> Item:
    """An item of random values; dims of up to `longest`, or as `lengths` says."""
    random = np.random.default_rng(seed)
    known = {**FIXED_DIMS, **(lengths or {})}
    arrays = {}
    for name, spec in schema.arrays.items():
        shape = tuple(known.setdefault(dim, int(random.integers(0, longest + 1))) for dim in spec.dims)
        arrays[name] = _values(random, shape, spec)
    scalars = {name: _scalar(random, spec) for name, spec in schema.scalars.items()}
    return Item(
        key=digest([schema.kind, prompt_hash, variant, setting, seed]),
        prompt_hash=prompt_hash,
        variant=variant,
        setting=setting,
        arrays=arrays,
        scalars=scalars,
    )


def make_items(
    schema: CollectionSchema, prompts: int, variants: tuple[str, ...] = ("base", "general@1.0")
) -> list[Item]:
    """Items of so many prompts, whose hashes spread over the partitions."""
    return [
        make_item(schema, digest(prompt)[:12], variant, seed=2 * prompt + number)
        for prompt in range(prompts)
        for number, variant in enumerate(variants)
    ]


def make_groups(schema: DatasetSchema, *, seed: int = 0, longest: int = 6) -> dict[str, xr.Dataset]:
    """Groups of random values."""
    random = np.random.default_rng(seed)
    groups = {}
    for group, specs in schema.groups.items():
        lengths: dict[str, int] = {}
        arrays = {}
        for name, spec in specs.items():
            shape = tuple(lengths.setdefault(d, int(random.integers(1, longest + 1))) for d in spec.dims)
            arrays[name] = (spec.dims, _values(random, shape, spec))
        groups[group] = xr.Dataset(arrays)
    return groups


def blank_scores(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For a graph item made by hand from version 1's arrays: the later ones, zeros, no adapter."""
    selected, targets = int(arrays["active_selected"].sum()), len(arrays["target_token"])
    lengths = {"target": targets, "selected": selected, "row": selected + targets}
    return {
        name: np.zeros([lengths.get(dim, 0) for dim in spec.dims], spec.dtype)
        for name, spec in GRAPHS.arrays.items()
        if spec.since > 1
    }


def same_item(one: Item, other: Item) -> bool:
    """Whether two items are equal to the bit, dtypes and shapes included."""
    return (
        (one.key, one.identity) == (other.key, other.identity)
        and dict(one.scalars) == dict(other.scalars)
        and one.arrays.keys() == other.arrays.keys()
        and all(
            (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
            for name, a in one.arrays.items()
            for b in [other.arrays[name]]
        )
    )


def _values(random: np.random.Generator, shape: tuple[int, ...], spec: ArraySpec) -> np.ndarray:
    if spec.dtype == "str":
        words = [f"{spec.dims[0]} {i} ä\n" for i in range(math.prod(shape))]
        return np.array(words, dtype=object).reshape(shape)
    if spec.dtype == "bool":
        return random.random(shape) < 0.5
    values = random.normal(scale=20, size=shape).astype(spec.dtype)
    if spec.dtype.startswith("float") and values.size:
        values.flat[0] = np.nan
    return values


def _scalar(random: np.random.Generator, spec: ArraySpec) -> Scalar:
    if spec.dtype.startswith("float"):
        return float(random.random())
    return int(random.integers(1, 100))
