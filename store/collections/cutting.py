"""Items' arrays cut out of a partition's, in which they lie end to end."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from store.collections.item import Scalar
from store.collections.writer import ragged_dim
from store.schema.specs import ArraySpec

Bounds = Mapping[str, tuple[int, int]]
"""Where an item starts and stops along each dim of its partition."""

# Elements of several items that are read at once: 8 MB at most.
_AT_ONCE: Final = 1 << 20


def side_by_side(partition: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Iterator[range]:
    """Runs of items that lie end to end in one partition, and are small enough to be read together.

    Parameters
    ----------
    partition
        (item,) names.
    start, stop
        (item, array) int64: where it lies in each array that is read.
    """
    size = (stop - start).sum(axis=1)
    follows = (partition[1:] == partition[:-1]) & (start[1:] == stop[:-1]).all(axis=1)
    first, held = 0, 0
    for row in range(len(size)):
        if row > first and not (follows[row - 1] and held + size[row] <= _AT_ONCE):
            yield range(first, row)
            first, held = row, 0
        held += size[row]
    if len(size):
        yield range(first, len(size))


def cut(
    specs: Sequence[ArraySpec], flat: Sequence[np.ndarray], bounds: Sequence[Bounds]
) -> list[list[np.ndarray]]:
    """The arrays of items that lie end to end, in their shapes, of what was read of all of them."""
    if len(bounds) == 1:
        return [_shaped(specs, flat, bounds[0])]
    items = []
    for own in bounds:
        parts = []
        for spec, values in zip(specs, flat, strict=True):
            start, stop = own[dim := ragged_dim(spec)]
            at = bounds[0][dim][0]
            # A copy: who keeps one item's array keeps no other's.
            parts.append(values[start - at : stop - at].copy())
        items.append(_shaped(specs, parts, own))
    return items


def _shaped(specs: Sequence[ArraySpec], flat: Sequence[np.ndarray], bounds: Bounds) -> list[np.ndarray]:
    lengths = {dim: stop - start for dim, (start, stop) in bounds.items()}
    return [
        values.reshape((-1,) if len(spec.dims) == 1 else tuple(lengths[dim] for dim in spec.dims))
        for spec, values in zip(specs, flat, strict=True)
    ]


def scalar(value: Any, dtype: str) -> Scalar:
    """A scalar as Python's own."""
    if dtype == "str":
        return str(value)
    own: Scalar = value.item()
    return own
