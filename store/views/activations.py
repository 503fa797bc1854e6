"""Activations by prompt hash, layer, position and feature: labelled, and sparse as they are."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from store.base.errors import NotInStoreError
from store.collections.reader import Collection
from store.schema.activations import ACTIVATIONS

if TYPE_CHECKING:
    import xarray as xr


def select(
    collection: Collection,
    *,
    prompt_hash: str | Iterable[str] | None = None,
    variant: str | Iterable[str] | None = None,
    layer: int | Iterable[int] | None = None,
    position: int | Iterable[int] | None = None,
    feature: int | Iterable[int] | None = None,
) -> "xr.DataArray":
    """Select activations; each argument is one label, several, or None for all.

    Parameters
    ----------
    collection
        An ``activations`` collection.
    prompt_hash, variant, layer, position, feature
        Labels to take; a dim keeps its place even if one label is taken.

    Returns
    -------
    xarray.DataArray
        float32 activations on a `sparse.COO`, dims (variant, prompt, layer, position,
        feature), a coordinate each. Zero is inactive. Two more coordinates tell what is
        not zero but absent: ``stored`` (variant, prompt), whether there is such an item, and
        ``n_positions`` (prompt), the prompt's length; positions beyond it hold nothing.

    Raises
    ------
    NotInStoreError
        A label that the collection does not have.
    """
    import sparse
    import xarray as xr

    if collection.kind != ACTIVATIONS.kind:
        raise NotInStoreError(f"{collection.path} holds {collection.kind}, not activations.")
    prompts = _names("prompt", prompt_hash, collection.prompts())
    variants = _names("variant", variant, collection.variants())
    index = collection.index
    index = index[index["prompt_hash"].isin(prompts)]
    n_positions = index.groupby("prompt_hash")["n_positions"].first()
    sizes = {
        dim: int(index[scalar].max()) if len(index) else 0
        for dim, scalar in (
            ("layer", "n_layers"),
            ("position", "n_positions"),
            ("feature", "d_transcoder"),
        )
    }
    wanted = {
        name: _numbers(name, given, sizes[name])
        for name, given in (("layer", layer), ("position", position), ("feature", feature))
    }
    stored = np.zeros((len(variants), len(prompts)), dtype=bool)
    coordinates: list[np.ndarray] = []
    values: list[np.ndarray] = []
    for v, name in enumerate(variants):
        for p, prompt in enumerate(prompts):
            if (prompt, name) not in collection:
                continue
            stored[v, p] = True
            arrays = collection.item(prompt, name).arrays
            places = [_places(arrays[dim], wanted[dim], sizes[dim]) for dim in wanted]
            inside = np.logical_and.reduce([place >= 0 for place in places])
            own = np.array([[v], [p]]).repeat(int(inside.sum()), axis=1)
            coordinates.append(np.concatenate([own, [place[inside] for place in places]]))
            values.append(arrays["value"][inside])
    shape = (len(variants), len(prompts), *(len(labels) for labels in wanted.values()))
    data = sparse.COO(
        np.concatenate(coordinates, axis=1) if coordinates else np.zeros((5, 0), dtype=np.int64),
        np.concatenate(values) if values else np.zeros(0, dtype=np.float32),
        shape=shape,
    )
    return xr.DataArray(
        data,
        dims=("variant", "prompt", "layer", "position", "feature"),
        coords={
            "variant": np.array(variants, dtype=object),
            "prompt": np.array(prompts, dtype=object),
            **wanted,
            "stored": (("variant", "prompt"), stored),
            "n_positions": ("prompt", n_positions.reindex(prompts).to_numpy()),
        },
        name="activation",
        attrs={
            "unit": ACTIVATIONS.arrays["value"].unit,
            "meaning": ACTIVATIONS.arrays["value"].meaning,
        },
    )


def _names(what: str, given: str | Iterable[str] | None, held: Sequence[str]) -> list[str]:
    if given is None:
        return list(held)
    names = [given] if isinstance(given, str) else list(dict.fromkeys(given))
    unknown = sorted(set(names) - set(held))
    if unknown:
        some = ", ".join(held[:8]) + (" ..." if len(held) > 8 else "")
        raise NotInStoreError(f"the activations hold no {what} {unknown[0]}; they hold {some}.")
    return names


def _numbers(what: str, given: int | Iterable[int] | None, size: int) -> np.ndarray:
    if given is None:
        return np.arange(size)
    several = [given] if isinstance(given, int | np.integer) else given
    numbers = np.array(list(dict.fromkeys(several)), dtype=np.int64)
    outside = numbers[(numbers < 0) | (numbers >= size)]
    if len(outside):
        raise NotInStoreError(f"there is no {what} {outside[0]}; they go from 0 to {size - 1}.")
    return numbers


def _places(labels: np.ndarray, wanted: np.ndarray, size: int) -> np.ndarray:
    """Place of each label among the wanted ones; -1 where it is not wanted."""
    place = np.full(size, -1, dtype=np.int64)
    place[wanted] = np.arange(len(wanted))
    found: np.ndarray = place[labels]
    return found
