"""The files of a group as Zarr's stores: those of this disk, and those that lie elsewhere."""

import asyncio
import math
from pathlib import Path

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import LocalStore

from store.remote.origins import Origin, origin_of


class _Files(LocalStore):
    """Files of a folder, read in the event loop itself.

    Zarr's own store hands each read to a thread. That takes longer than reading the few
    kilobytes of a chunk: a fifth of the time in which a graph is opened.
    """

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        return self.get_sync(key, prototype=prototype, byte_range=byte_range)


class Parts(LocalStore):
    """Files of a folder that lie elsewhere, of which those parts come that are read."""

    def __init__(self, group: Path, origin: Origin, name: str) -> None:
        super().__init__(group, read_only=True)
        self._origin = origin
        self._name = name

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        name = f"{self._name}/{key}"
        size = self._origin.size(name)
        if size is None:
            return None
        content = await self._origin.part(name, *_bounds(byte_range, size))
        return (prototype or default_buffer_prototype()).buffer.from_bytes(content)

    async def ahead(self, key: str, start: float, stop: float) -> None:
        """Have come at once what will be read of a shard: its index, which is at its end, and the chunks.

        Zarr asks for the one and then for each of the others. Chunks lie in order and have about the same
        size, so that their place is nearly known before the index is; what was guessed wrong comes after.

        Parameters
        ----------
        key
            The file; where it is not there nothing happens.
        start, stop
            Where what is read begins and ends, as shares of the file.
        """
        name = f"{self._name}/{key}"
        if size := self._origin.size(name):
            asked = self._origin.part(name, int(size * start), math.ceil(size * stop))
            await asyncio.gather(asked, self._origin.part(name, size - 1, size))


def _bounds(asked: ByteRequest | None, size: int) -> tuple[int, int]:
    if asked is None:
        return 0, size
    if isinstance(asked, RangeByteRequest):
        return asked.start, min(asked.end, size)
    if isinstance(asked, OffsetByteRequest):
        return asked.offset, size
    return max(0, size - asked.suffix), size


def files_of(group: Path) -> LocalStore:
    """The files of a group's folder, as Zarr reads them."""
    found = origin_of(group)
    return _Files(group, read_only=True) if found is None else Parts(group, *found)
