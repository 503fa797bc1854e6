"""Items' arrays cut out of a partition's, in which they lie end to end."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from store.collections.item import Scalar
from store.collections.writer import ragged_dim
from store.schema.specs import ArraySpec

Bounds = Mapping[str, tuple[int, int]]
"""Where an item starts and stops along each dim of its partition."""


def shaped(specs: Sequence[ArraySpec], flat: Sequence[np.ndarray], bounds: Bounds) -> list[np.ndarray]:
    """An item's arrays, cut out already, in their shapes."""
    lengths = {dim: stop - start for dim, (start, stop) in bounds.items()}
    return [
        values.reshape((-1,) if len(spec.dims) == 1 else tuple(lengths[dim] for dim in spec.dims))
        for spec, values in zip(specs, flat, strict=True)
    ]


def cut(specs: Sequence[ArraySpec], whole: Sequence[np.ndarray], bounds: Bounds) -> list[np.ndarray]:
    """An item's arrays, of the whole ones of its partition."""
    flat = [values[slice(*bounds[ragged_dim(spec)])] for spec, values in zip(specs, whole, strict=True)]
    return shaped(specs, flat, bounds)


def scalar(value: Any, dtype: str) -> Scalar:
    """A scalar as Python's own."""
    if dtype == "str":
        return str(value)
    own: Scalar = value.item()
    return own
