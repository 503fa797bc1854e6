"""How an array is cut: into chunks, which are compressed each, and shards of them, which are files."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Final

CHUNK_ELEMENTS: Final = 1 << 16
"""Upper bound of a chunk, in elements: what is decompressed at least to read one."""

SHARD_ELEMENTS: Final = 1 << 24
"""Upper bound of a shard, in elements: what is held in memory at least to write one."""


def chunk_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Halve the longest axis until a chunk has at most ``CHUNK_ELEMENTS`` elements."""
    chunk = [max(1, length) for length in shape]
    while math.prod(chunk) > CHUNK_ELEMENTS:
        longest = chunk.index(max(chunk))
        chunk[longest] = -(-chunk[longest] // 2)
    return tuple(chunk)


def shard_shape(shape: tuple[int, ...], chunk: tuple[int, ...]) -> tuple[int, ...]:
    """As many whole chunks as the array needs; the longest axis is halved as for `chunk_shape`."""
    shard = [-(-length // c) * c for length, c in zip(shape, chunk, strict=True)]
    while math.prod(shard) > SHARD_ELEMENTS:
        most = max(length for length, c in zip(shard, chunk, strict=True) if length > c)
        axis = shard.index(most)
        shard[axis] = -(-most // (2 * chunk[axis])) * chunk[axis]
    return tuple(shard)


def parts(shape: tuple[int, ...], shard: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """What of an array is in each shard."""
    axes = [range(0, length, step) for length, step in zip(shape, shard, strict=True)]
    for start in product(*axes):
        yield tuple(slice(at, min(at + step, n)) for at, step, n in zip(start, shard, shape, strict=True))
