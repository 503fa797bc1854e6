"""A content-addressed cache of finished items, outside DVC's outs: in a folder, or in object storage.

A stage's outs are written anew whenever it runs; what was computed stays here, so that a
stage computes only what is new. An item is one safetensors file named after its key;
everything that determines the item is in the key, so an entry is never out of date.
"""

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from store.base.hashing import canonical_json
from store.collections.item import Identity, Item
from store.collections.reader import Collection
from store.remote.places import ObjectFiles, files_at

VARIABLE: Final = "EMC_CACHE"
"""Where finished items lie; makes no stage stale."""


def chosen_cache(folder: Path, environ: Mapping[str, str] = os.environ) -> "ItemCache":
    """The cache at the place that the environment names, else in the folder.

    Raises
    ------
    UserError
        The place is of a kind that is not supported, or does not let us in.
    """
    place = environ.get(VARIABLE, "").strip()
    if not place:
        return ItemCache(folder)
    files = files_at(place)
    if not isinstance(files, ObjectFiles):
        return ItemCache(files.folder)
    files.require()
    return ItemCache(folder, place)


class ItemCache:
    """Items by kind and content key; safe for several processes at once.

    Parameters
    ----------
    root
        A folder of this machine, made when it is needed: of the items, of claims, and of stores that are
        attached.
    place
        Where the items lie instead: ``s3://bucket/prefix`` or ``gs://bucket/prefix``. Claims stay in the
        folder: processes of one machine share the work, and another machine may compute the same at the
        same time, to the same bytes.
    """

    def __init__(self, root: Path, place: str | None = None) -> None:
        self.root = root
        self.place = place
        self.files = files_at(str(root) if place is None else place)
        self._stores: dict[str, Collection] = {}
        self._places: dict[str, dict[str, Identity]] = {}

    def attach(self, kind: str, store: Collection) -> None:
        """Let the cache have what a collection holds: items are read there, and only when they are used.

        The collection must be whole and stay as it is while the cache is used.
        """
        self._stores[kind] = store
        self._places[kind] = {key: who for who, key in store.keys.items()}

    def store(self, kind: str) -> Collection | None:
        """The collection that is attached."""
        return self._stores.get(kind)

    def holds(self, kind: str, key: str, *, now: bool = True) -> bool:
        """Whether there is an entry for the key, here or in the collection that is attached.

        If not `now`, one that another machine put in the last minute may be missed; that spares a
        request an item.
        """
        return key in self._places.get(kind, ()) or self.files.holds(_name(kind, key), now=now)

    def get(self, kind: str, key: str) -> Item | None:
        """The item, or None if it is not there (or is damaged, and then removed)."""
        if (place := self._places.get(kind, {}).get(key)) is not None:
            return self._stores[kind].item_on_demand(*place)
        name = _name(kind, key)
        content = self.files.read(name)
        if content is None:
            return None
        try:
            arrays = load(content)
            length = struct.unpack("<Q", content[:8])[0]
            header = json.loads(content[8 : 8 + length])["__metadata__"]
            who = Identity(*(header[name] for name in Identity._fields))
        except (SafetensorError, struct.error, ValueError, KeyError):
            self.files.remove(name)
            return None
        if header.pop("checksum", None) != _checksum(arrays, header) or header["key"] != key:
            self.files.remove(name)
            return None
        return Item(
            key=key,
            **who._asdict(),
            arrays=arrays,
            scalars=json.loads(header["scalars"]),
        )

    def put(self, kind: str, item: Item) -> None:
        """Write an item atomically; the same key always holds the same bytes."""
        if self.holds(kind, item.key):
            return
        arrays = {name: np.ascontiguousarray(array) for name, array in item.arrays.items()}
        header = {
            "key": item.key,
            **item.identity._asdict(),
            "scalars": json.dumps(dict(item.scalars), sort_keys=True),
        }
        metadata = {**header, "checksum": _checksum(arrays, header)}
        self.files.write(_name(kind, item.key), _serialised(arrays, metadata))


def _name(kind: str, key: str) -> str:
    return f"{kind}/{key[:2]}/{key}.safetensors"


def _serialised(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """A safetensors file whose bytes follow from what it holds.

    The library lays numbers out in an order of its own, but names what it holds in one that
    differs from call to call; so the header is written again, sorted, as its format allows:
    its length, then JSON padded with spaces to a multiple of eight bytes.
    """
    content = save(arrays, metadata)
    (length,) = struct.unpack("<Q", content[:8])
    header = canonical_json(json.loads(content[8 : 8 + length])).encode()
    header += b" " * (-len(header) % 8)
    return b"".join((struct.pack("<Q", len(header)), header, memoryview(content)[8 + length :]))


def _checksum(arrays: dict[str, np.ndarray], header: dict[str, str]) -> str:
    """SHA-256 over the whole item: safetensors itself would not notice a flipped bit."""
    sha = hashlib.sha256(canonical_json(header).encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(canonical_json([name, array.dtype.str, list(array.shape)]).encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
