"""One array of an artifact: written compressed and checksummed, read back with checks.

Knows Zarr and nothing of prompts, items or schemas.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import zarr
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec
from zarr.core.sync import sync
from zarr.storage import LocalStore, StorePath

from store.base.errors import DamagedArtifactError, InvalidItemError, StoreError
from store.base.hashing import bytes_digest
from store.format.chunks import chunk_shape, parts, shard_shape
from store.format.files import Parts, files_of
from store.remote.origins import bring, remedy, size_of

REMEDY: Final = "restore it with `dvc checkout --force` or make it anew with `dvc repro`."

ITEMS_LEVEL: Final = 6
"""Of arrays of items, written once: level 7 takes twice as long and saves 0.2%, 5 takes 3% more room."""
TABLES_LEVEL: Final = 5
"""Of tables, written whole whenever one number changes: a third of the time of 6, for 2% more room."""

Selection = tuple[slice | int, ...]


class Sliceable(Protocol):
    """Numbers that are made, or read, a part at a time; as an array of them is."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of every part."""

    def __getitem__(self, part: tuple[slice, ...], /) -> np.ndarray:
        """Values of a part."""


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What a manifest says of one file: its size in bytes and its SHA-256."""

    bytes: int
    sha256: str


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Dtype as the schema names it: ``str`` for text, else numpy's name."""
    return "str" if dtype.kind in "TUO" else str(dtype.name)


def write_array(
    folder: Path,
    name: str,
    data: np.ndarray | Sliceable,
    *,
    dims: tuple[str, ...],
    attributes: Mapping[str, str],
    level: int = ITEMS_LEVEL,
) -> None:
    """Write one array below `folder` and read it back; several chunks become one shard.

    Memory holds a shard at a time, and what `data` holds.

    Parameters
    ----------
    folder
        Folder of the Zarr group that gets the array.
    name
        Name of the array.
    data
        Values; text as an object or string array, where None is refused.
    dims
        Name of each axis.
    attributes
        What a reader should know: unit and meaning.
    level
        How hard numbers are compressed; any reads alike.

    Raises
    ------
    InvalidItemError
        Text that is not a string: Zarr would store a missing one as ''.
    DamagedArtifactError
        What was read back differs from what was written.
    OSError
        The disk is full, or the folder cannot be written.
    """
    text = dtype_name(data.dtype) == "str"
    if text and isinstance(data, np.ndarray):
        if not all(isinstance(value, str) for value in data.flat):
            raise InvalidItemError(f"array {name} holds something that is not text.")
        data = data.astype(np.dtypes.StringDType())
    chunks = chunk_shape(data.shape)
    shards = shard_shape(data.shape, chunks)
    array = zarr.create_array(
        LocalStore(folder),
        name=name,
        shape=data.shape,
        dtype=data.dtype,
        chunks=chunks,
        shards=None if all(s <= c for s, c in zip(shards, chunks, strict=True)) else shards,
        compressors=_compressors(None if text else data.dtype.itemsize, level),
        fill_value="" if text else 0,
        dimension_names=dims,
        # c.0.0 and not c/0/0: folders cost more than files.
        chunk_key_encoding={"name": "default", "separator": "."},
        attributes=dict(attributes),
        # Every chunk is on disk, so that a missing one can only mean damage.
        config={"write_empty_chunks": True},
    )
    if 0 in data.shape:
        return
    for part in parts(data.shape, shards):
        values = data[part]
        array[part] = values
        back = np.asarray(array[part])
        same = bool((back == values).all()) if text else back.tobytes() == values.tobytes()
        if not same:
            raise DamagedArtifactError(f"array {name} in {folder} reads back differently.")


def _compressors(itemsize: int | None, level: int) -> tuple[BytesBytesCodec, ...]:
    # The checksum comes last, over the compressed bytes: zstd alone misses flipped bits.
    if itemsize is None:
        return (ZstdCodec(level=9), Crc32cCodec())
    blosc = BloscCodec(cname="zstd", clevel=level, shuffle="shuffle", typesize=itemsize)
    return (blosc, Crc32cCodec())


class ArrayReader:
    """An array on disk, opened against its manifest.

    Parameters
    ----------
    group
        Folder of the Zarr group that holds the array.
    name
        Name of the array.
    files
        The group's manifest: what each file below `group` must be.
    owner
        Whose data it is that will be read, for messages.
    sizes
        Whether reading checks the size of every file of the array first. Without it, a
        chunk that is whole reads though another chunk of the array is damaged.
    """

    def __init__(
        self,
        group: Path,
        name: str,
        files: Mapping[str, FileRecord],
        *,
        owner: str = "",
        sizes: bool = True,
    ) -> None:
        self._group = group
        self._name = name
        self._owner = owner
        self._sizes = sizes
        self._files = {key: value for key, value in files.items() if key.startswith(f"{name}/")}
        metadata = f"{name}/zarr.json"
        if metadata not in self._files:
            raise DamagedArtifactError(f"{group} holds no array {name} by its manifest.")
        content = self._checked_metadata(metadata)
        self._store = files_of(group)
        self._array: zarr.Array[Any] = zarr.Array.from_dict(StorePath(self._store, name), json.loads(content))

    def of(self, owner: str) -> "ArrayReader":
        """The same, for messages about another owner's data."""
        other = copy(self)
        other._owner = owner
        return other

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(self._array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype on disk."""
        return np.dtype(self._array.dtype)

    @property
    def dims(self) -> tuple[str, ...]:
        """Name of each axis."""
        return tuple(str(name) for name in self._array.metadata.dimension_names or ())  # type: ignore[union-attr]

    @property
    def attributes(self) -> dict[str, Any]:
        """Unit and meaning."""
        return dict(self._array.attrs)

    def read(self, selection: Selection | None = None) -> np.ndarray:
        """Read all, or the part that a tuple of slices and integers selects.

        Raises
        ------
        DamagedArtifactError
            A chunk is missing, truncated or altered; names array and owner.
        """
        (values,) = read_together([(self, selection)])
        return values

    async def fetch(self, selection: Selection | None) -> np.ndarray:
        """`read`, awaited; see `read_together`."""
        if self._sizes:
            self._check_sizes()
        asked = selection or (slice(None),) * len(self.shape)
        try:
            if isinstance(self._store, Parts) and len(self.shape) == 1 and isinstance(asked[0], slice):
                await self._ahead(self._store, *asked[0].indices(self.shape[0])[:2])
            return np.asarray(await self._array.async_array.getitem(asked))
        except StoreError:  # told already: it comes from elsewhere, and cannot be had
            raise
        except (ValueError, RuntimeError, OSError, IndexError, KeyError) as error:
            raise self._damage("a chunk is altered") from error

    async def _ahead(self, store: Parts, start: int, stop: int) -> None:
        """Have a part of a row of numbers come at once from all the shards in which it lies."""
        if start >= stop:
            return
        (length,), (chunk,) = self.shape, self._array.chunks
        (shard,) = self._array.shards or self._array.chunks
        first, last = start // chunk * chunk, -(-stop // chunk) * chunk

        def share(begin: int) -> tuple[float, float]:
            held = min(shard, length - begin)
            return max(0, first - begin) / held, min(held, last - begin) / held

        await asyncio.gather(
            *(
                store.ahead(f"{self._name}/c.{begin // shard}", *share(begin))
                for begin in range(start // shard * shard, stop, shard)
            )
        )

    def _check_sizes(self) -> None:
        for key, record in self._files.items():
            try:
                size = size_of(self._group / key)
            except FileNotFoundError:
                raise self._damage(f"{key} is missing") from None
            if size != record.bytes:
                raise self._damage(f"{key} has {size} bytes instead of {record.bytes}")

    def _checked_metadata(self, key: str) -> bytes:
        bring(self._group / key)
        try:
            content = (self._group / key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise self._damage(f"{key} is missing") from None
        if bytes_digest(content) != self._files[key].sha256:
            raise self._damage(f"{key} is altered")
        return content

    def _damage(self, what: str) -> DamagedArtifactError:
        owner = f" ({self._owner})" if self._owner else ""
        return DamagedArtifactError(
            f"array {self._name} of {self._group}{owner} is damaged: {what}; "
            f"{remedy(self._group / self._name, REMEDY)}"
        )


def read_together(requests: Sequence[tuple[ArrayReader, Selection | None]]) -> list[np.ndarray]:
    """Read several arrays at once: one trip to Zarr's event loop instead of one each.

    Raises
    ------
    DamagedArtifactError
        As `ArrayReader.read`, for the first array at fault.
    """

    async def gather() -> list[np.ndarray]:
        return await asyncio.gather(*(reader.fetch(part) for reader, part in requests))

    return sync(gather())
