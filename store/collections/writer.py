"""Write a ragged collection; see `store.collections.reader` for what it is and how it is read."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.base.atomic import link, published_folder
from store.base.errors import InvalidItemError
from store.base.hashing import PROMPT_HASH_DIGITS
from store.collections.item import Identity, Item, Scalar
from store.format.arrays import FileRecord, write_array
from store.format.artifact import METADATA, seal_group, seal_root
from store.format.spool import Spool
from store.format.validation import check_item
from store.schema.specs import ArraySpec, CollectionSchema

if TYPE_CHECKING:
    from store.collections.reader import Collection

INDEX: Final = "index"
RAGGED: Final = "ragged_dim"
BOUNDS: Final = ("start", "stop")
PROMPTS_A_PARTITION: Final = 16
_FEWEST_BITS: Final = 3
_MOST_BITS: Final = 8
_HASH_BITS: Final = 4 * PROMPT_HASH_DIGITS

_IDENTITY: Final = {
    "prompt_hash": "prompt hash, 12 hex digits",
    "variant": "variant",
    "setting": "what was done to the model: empty for nothing, else a recipe's digest, 64 hex digits",
    "key": "content key of the item, 64 hex digits",
    "partition": "group that holds the item's arrays",
}


@dataclass(frozen=True, kw_only=True)
class KeptPartition:
    """A partition of another collection: its folder, its record, and where its items lie in it."""

    folder: Path
    record: FileRecord
    spans: Mapping[Identity, dict[str, tuple[int, int]]]


def write_collection(
    path: Path,
    schema: CollectionSchema,
    items: Iterable[Item],
    *,
    provenance: Mapping[str, Any],
    previous: "Collection | None" = None,
) -> None:
    """Write a collection and publish it whole: readers see the old one until it is done.

    The bytes of every file depend on the items alone, not on their order. Items are read
    once and spooled to disk, so that a generator over a large cache needs little memory.

    Parameters
    ----------
    path
        Folder that the collection takes the place of.
    schema
        Kind of the collection; every item must follow it.
    items
        Items in any order, each (prompt hash, variant, setting) once.
    provenance
        What they were computed from; plain JSON.
    previous
        A whole collection of the kind that stays as it is meanwhile. An item of the same key is taken
        from there, its own arrays unread, and a partition of such items alone is linked, or copied where
        the file system has no links.

    Raises
    ------
    InvalidItemError
        An item that does not follow the schema, or one that comes twice.
    OSError
        The disk is full, say; what was at `path` stays.
    """
    with published_folder(path) as folder, Spool(folder.parent) as spool:
        stored: dict[Identity, Item] = {}
        for item in items:
            who = item.identity
            if previous is not None and previous.key(*who) == item.key and who not in stored:
                stored[who] = previous.item_on_demand(*who)
            else:
                spool.add(_checked(item, schema))
        identities = sorted([*spool.identities(), *stored])
        _require_once(identities)
        n_prompts = len({who.prompt_hash for who in identities})
        bits = partition_bits(n_prompts)
        groups: dict[str, FileRecord] = {}
        rows: list[_Row] = []
        for partition, group in groupby(identities, lambda who: partition_of(who.prompt_hash, bits)):
            members = list(group)
            kept = None
            if previous is not None and stored.keys() >= set(members):
                kept = previous.kept_partition(partition, members)
            if kept is not None:
                shutil.copytree(kept.folder, folder / partition, copy_function=link)
                groups[partition] = kept.record
                rows += [_row(stored[who], partition, kept.spans[who]) for who in members]
                continue
            read = [_checked(stored[who], schema) if who in stored else spool.read(who) for who in members]
            rows += _write_partition(folder / partition, schema, partition, read)
            groups[partition] = seal_group(folder / partition)
        _write_index(folder / INDEX, schema, rows)
        groups[INDEX] = seal_group(folder / INDEX)
        seal_root(
            folder,
            kind=schema.kind,
            attributes={
                "layout": "collection",
                "partition_bits": bits,
                "n_prompts": n_prompts,
                "n_items": len(identities),
            },
            provenance=provenance,
            groups=groups,
        )


def partition_bits(n_prompts: int) -> int:
    """Bits of the prompt hash that name a partition, for a collection of so many prompts.

    About 16 prompts a partition: few files, and one more prompt changes few of them. At
    most 256 partitions, of which one changes then whatever their size.
    """
    needed = -(-n_prompts // PROMPTS_A_PARTITION)
    return min(max((needed - 1).bit_length(), _FEWEST_BITS), _MOST_BITS)


def partition_of(prompt_hash: str, bits: int) -> str:
    """Name of a prompt's partition: the first bits of its hash, in binary."""
    return format(int(prompt_hash, 16) >> (_HASH_BITS - bits), f"0{bits}b")


@dataclass(frozen=True, kw_only=True)
class _Row:
    """An item's row of the index."""

    identity: dict[str, str]
    scalars: dict[str, Scalar]
    spans: dict[str, tuple[int, int]]


def _write_partition(
    folder: Path, schema: CollectionSchema, partition: str, members: Sequence[Item]
) -> list[_Row]:
    ends = dict.fromkeys(ragged_dims(schema), 0)
    rows = []
    for item in members:
        spans = {}
        for dim, length in item_lengths(item, schema).items():
            spans[dim] = (ends[dim], ends[dim] + length)
            ends[dim] += length
        rows.append(_row(item, partition, spans))
    for name, spec in schema.arrays.items():
        parts = [np.asarray(item.arrays[name]).reshape(-1) for item in members]
        write_array(
            folder,
            name,
            np.concatenate(parts),
            dims=(ragged_dim(spec),),
            attributes=_describe(spec),
        )
    return rows


def _row(item: Item, partition: str, spans: dict[str, tuple[int, int]]) -> _Row:
    identity = {**item.identity._asdict(), "key": item.key, "partition": partition}
    return _Row(identity=identity, scalars=dict(item.scalars), spans=spans)


def _checked(item: Item, schema: CollectionSchema) -> Item:
    check_item(item, schema)
    return item


def _require_once(identities: Sequence[Identity]) -> None:
    for one, other in pairwise(identities):
        if one == other:
            raise InvalidItemError(f"prompt {one.prompt_hash}, {one.variant}: the item comes twice.")


def is_described(folder: Path, schema: CollectionSchema) -> bool:
    """Whether a partition's arrays are those of the schema, with its dims, units and meanings."""
    if {path.name for path in folder.iterdir() if path.is_dir()} != schema.arrays.keys():
        return False
    for name, spec in schema.arrays.items():
        found = json.loads((folder / name / METADATA).read_bytes())
        if found["attributes"] != _describe(spec) or found["dimension_names"] != [ragged_dim(spec)]:
            return False
    return True


def _write_index(folder: Path, schema: CollectionSchema, rows: Sequence[_Row]) -> None:
    for name, meaning in _IDENTITY.items():
        column = np.array([row.identity[name] for row in rows], dtype=object)
        write_array(folder, name, column, dims=("item",), attributes={"meaning": meaning})
    for name, spec in schema.scalars.items():
        values = np.array([row.scalars[name] for row in rows], dtype=spec.dtype)
        write_array(folder, name, values, dims=("item",), attributes=_describe(spec))
    dims = ragged_dims(schema)
    write_array(
        folder,
        RAGGED,
        np.array(dims, dtype=object),
        dims=(RAGGED,),
        attributes={"meaning": "dim along which the partition's arrays are laid end to end"},
    )
    for end, name in enumerate(BOUNDS):
        bounds = np.array([[row.spans[dim][end] for dim in dims] for row in rows], dtype=np.int64)
        write_array(
            folder,
            name,
            bounds.reshape(len(rows), len(dims)),
            dims=("item", RAGGED),
            attributes={"meaning": f"where the item {name}s along each dim of its partition"},
        )


def ragged_dims(schema: CollectionSchema) -> tuple[str, ...]:
    """Dims of the concatenated arrays, a 2-D array's being the product ``a_b``, and all their factors.

    A factor along which no array lies alone (``selected``) is among them, too: without its
    length, an item's empty 2-D array could not be given its shape back.
    """
    specs = schema.arrays.values()
    return tuple(sorted({dim for spec in specs for dim in (ragged_dim(spec), *spec.dims)}))


def ragged_dim(spec: ArraySpec) -> str:
    """Name of the dimension along which items' arrays are laid end to end."""
    return "_".join(spec.dims)


def item_lengths(item: Item, schema: CollectionSchema) -> dict[str, int]:
    """Length of an item along each ragged dimension."""
    lengths = {}
    for name, spec in schema.arrays.items():
        array = item.arrays[name]
        lengths[ragged_dim(spec)] = array.size
        lengths |= dict(zip(spec.dims, array.shape, strict=True))
    return lengths


def _describe(spec: ArraySpec) -> dict[str, str]:
    return {"unit": spec.unit, "meaning": spec.meaning}
