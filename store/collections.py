"""Ragged collections: one item a prompt and variant, partitioned by prompt hash.

Items whose prompt hashes begin alike share a partition, a Zarr group in which each array
holds the items' arrays end to end. The ``index`` group has a row an item: its identity, its
scalars, and where it starts and stops along each dimension. ``FORMAT.md`` has it in full.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from store.arrays import ArrayReader, FileRecord, write_array
from store.artifact import Artifact, open_artifact, seal_group, seal_root
from store.atomic import published_folder
from store.errors import (
    DamagedArtifactError,
    NotInStoreError,
    UnknownFormatError,
)
from store.items import Item, Scalar
from store.schema import COLLECTIONS, ArraySpec, CollectionSchema
from store.spool import Spool
from store.validation import check_item

if TYPE_CHECKING:
    import pandas as pd

INDEX: Final = "index"
SMALL: Final = 256
"""Up to so many prompts, a partition is one hex digit of the hash; above, two."""

_IDENTITY: Final = {
    "prompt_hash": "prompt hash, 12 hex digits",
    "variant": "variant",
    "key": "content key of the item, 64 hex digits",
    "partition": "group that holds the item's arrays",
}


def write_collection(
    path: Path,
    schema: CollectionSchema,
    items: Iterable[Item],
    *,
    provenance: Mapping[str, Any],
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
        Items in any order, each (prompt hash, variant) once.
    provenance
        What they were computed from; plain JSON.

    Raises
    ------
    InvalidItemError
        An item that does not follow the schema, or one that comes twice.
    OSError
        The disk is full, say; what was at `path` stays.
    """
    with published_folder(path) as folder, Spool(folder.parent) as spool:
        for item in items:
            check_item(item, schema)
            spool.add(item)
        identities = spool.identities()
        n_prompts = len({prompt for prompt, _ in identities})
        digits = 1 if n_prompts <= SMALL else 2
        groups: dict[str, FileRecord] = {}
        rows: list[_Row] = []
        for partition in sorted({prompt[:digits] for prompt, _ in identities}):
            members = [spool.read(*who) for who in identities if who[0].startswith(partition)]
            rows += _write_partition(folder / partition, schema, partition, members)
            groups[partition] = seal_group(folder / partition)
        _write_index(folder / INDEX, schema, rows)
        groups[INDEX] = seal_group(folder / INDEX)
        seal_root(
            folder,
            kind=schema.kind,
            attributes={
                "layout": "collection",
                "partition_digits": digits,
                "n_prompts": n_prompts,
                "n_items": len(identities),
            },
            provenance=provenance,
            groups=groups,
        )


class _Row:
    """An item's row of the index."""

    def __init__(self, item: Item, partition: str, spans: Mapping[str, tuple[int, int]]) -> None:
        self.identity = {
            "prompt_hash": item.prompt_hash,
            "variant": item.variant,
            "key": item.key,
            "partition": partition,
        }
        self.scalars = dict(item.scalars)
        self.spans = dict(spans)


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
        rows.append(_Row(item, partition, spans))
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


def _write_index(folder: Path, schema: CollectionSchema, rows: Sequence[_Row]) -> None:
    for name, meaning in _IDENTITY.items():
        column = np.array([row.identity[name] for row in rows], dtype=object)
        write_array(folder, name, column, dims=("item",), attributes={"meaning": meaning})
    for name, spec in schema.scalars.items():
        values = np.array([row.scalars[name] for row in rows], dtype=spec.dtype)
        write_array(folder, name, values, dims=("item",), attributes=_describe(spec))
    for dim in ragged_dims(schema):
        bounds = np.array([row.spans[dim] for row in rows], dtype=np.int64).reshape(-1, 2)
        for column_index, name in enumerate(("start", "stop")):
            write_array(
                folder,
                f"{dim}_{name}",
                bounds[:, column_index],
                dims=("item",),
                attributes={"unit": dim, "meaning": f"where the item's {dim} {name}s"},
            )


def ragged_dims(schema: CollectionSchema) -> tuple[str, ...]:
    """Dimensions of the concatenated arrays; a 2-D array's is the product, ``a_b``."""
    return tuple(sorted({ragged_dim(spec) for spec in schema.arrays.values()}))


def ragged_dim(spec: ArraySpec) -> str:
    """Name of the dimension along which items' arrays are laid end to end."""
    return "_".join(spec.dims)


def item_lengths(item: Item, schema: CollectionSchema) -> dict[str, int]:
    """Length of an item along each ragged dimension."""
    return {ragged_dim(spec): item.arrays[name].size for name, spec in schema.arrays.items()}


def _describe(spec: ArraySpec) -> dict[str, str]:
    return {"unit": spec.unit, "meaning": spec.meaning}


def open_collection(path: Path) -> "Collection":
    """Open a collection for reading; reads its root only.

    Raises
    ------
    ArtifactMissingError
        There is nothing at `path`.
    UnknownFormatError
        Another format version, or no collection.
    DamagedArtifactError
        Its root is damaged.
    """
    artifact = open_artifact(path)
    if artifact.kind not in COLLECTIONS:
        raise UnknownFormatError(
            f"{path} holds `{artifact.kind}`, which is no collection; "
            f"collections are {', '.join(COLLECTIONS)}."
        )
    return Collection(artifact, COLLECTIONS[artifact.kind])


class Collection:
    """A collection open for reading; items are read one by one, each with checks.

    It stays tied to what was at its path when it was opened: once that is published anew,
    reading raises `ReplacedArtifactError` instead of mixing the two.
    """

    def __init__(self, artifact: Artifact, schema: CollectionSchema) -> None:
        self._artifact = artifact
        self._schema = schema
        self._columns: dict[str, np.ndarray] = {}
        self._files: dict[str, dict[str, FileRecord]] = {}

    @property
    def path(self) -> Path:
        """Folder of the collection."""
        return self._artifact.path

    @property
    def kind(self) -> str:
        """Kind of the collection, as in `store.schema.COLLECTIONS`."""
        return self._artifact.kind

    @property
    def schema(self) -> CollectionSchema:
        """Arrays and scalars of its items."""
        return self._schema

    @property
    def provenance(self) -> dict[str, Any]:
        """What the items were computed from."""
        return dict(self._artifact.provenance)

    @cached_property
    def index(self) -> "pd.DataFrame":
        """A row an item, sorted: prompt_hash, variant, key and the schema's scalars."""
        import pandas as pd  # opening one graph does without it

        names = ("prompt_hash", "variant", "key", *self._schema.scalars)
        return pd.DataFrame(
            {
                name: column.astype(object) if column.dtype.kind == "T" else column
                for name in names
                for column in [self._column(name)]
            }
        )

    def __len__(self) -> int:
        return int(self._artifact.attributes["n_items"])

    def __contains__(self, who: tuple[str, str]) -> bool:
        return who in self._rows

    def prompts(self) -> list[str]:
        """Prompt hashes, sorted."""
        return list(dict.fromkeys(prompt for prompt, _ in self._rows))

    def variants(self, prompt_hash: str | None = None) -> list[str]:
        """Variants of a prompt, or of any prompt, sorted.

        Raises
        ------
        NotInStoreError
            The collection does not hold the prompt.
        """
        if prompt_hash is None:
            return sorted({variant for _, variant in self._rows})
        identities = self._identities
        first = bisect_left(identities, (prompt_hash, ""))
        found = []
        for prompt, variant in identities[first:]:
            if prompt != prompt_hash:
                break
            found.append(variant)
        if not found:
            raise NotInStoreError(self._absent(prompt_hash, None))
        return found

    def item(self, prompt_hash: str, variant: str, arrays: Iterable[str] | None = None) -> Item:
        """Read one item.

        Parameters
        ----------
        prompt_hash, variant
            Which one.
        arrays
            Names of the arrays to read; all by default.

        Raises
        ------
        NotInStoreError
            The collection does not hold it.
        DamagedArtifactError
            A chunk is missing, truncated or altered; names array and prompt.
        ReplacedArtifactError
            The collection was published anew since it was opened.
        """
        if (prompt_hash, variant) not in self._rows:
            raise NotInStoreError(self._absent(prompt_hash, variant))
        row = self._rows[prompt_hash, variant]
        partition = str(self._column("partition")[row])
        names = self._schema.arrays if arrays is None else tuple(arrays)
        flat = {name: self._read(partition, name, row) for name in names}
        self._artifact.ensure_current()
        lengths = {
            dim: int(self._column(f"{dim}_stop")[row] - self._column(f"{dim}_start")[row])
            for dim in ragged_dims(self._schema)
        }
        return Item(
            key=str(self._column("key")[row]),
            prompt_hash=prompt_hash,
            variant=variant,
            arrays={
                name: values.reshape(self._shape(self._schema.arrays[name], lengths))
                for name, values in flat.items()
            },
            scalars={
                name: _scalar(self._column(name)[row], spec.dtype)
                for name, spec in self._schema.scalars.items()
            },
        )

    def items(self) -> Iterator[Item]:
        """Every item, sorted by prompt hash and variant, one in memory at a time."""
        for prompt, variant in self._identities:
            yield self.item(prompt, variant)

    @cached_property
    def _identities(self) -> list[tuple[str, str]]:
        prompts, variants = self._column("prompt_hash"), self._column("variant")
        return list(zip(prompts.tolist(), variants.tolist(), strict=True))

    @cached_property
    def _rows(self) -> dict[tuple[str, str], int]:
        return {who: row for row, who in enumerate(self._identities)}

    def _column(self, name: str) -> np.ndarray:
        if name not in self._columns:
            if INDEX not in self._files:
                self._files[INDEX] = self._artifact.group_files(INDEX)
            reader = self._reader(INDEX, name, "the index of all prompts")
            self._columns[name] = reader.read()
            self._artifact.ensure_current()
        return self._columns[name]

    def _read(self, partition: str, name: str, row: int) -> np.ndarray:
        if partition not in self._files:
            self._files[partition] = self._artifact.group_files(partition)
        prompt, variant = self._identities[row]
        reader = self._reader(partition, name, f"prompt {prompt}, {variant}")
        dim = ragged_dim(self._schema.arrays[name])
        start, stop = (int(self._column(f"{dim}_{end}")[row]) for end in ("start", "stop"))
        return reader.read((slice(start, stop),))

    def _reader(self, group: str, name: str, owner: str) -> ArrayReader:
        try:
            return ArrayReader(
                self.path / group, name, self._files[group], owner=lambda start, stop: owner
            )
        except DamagedArtifactError:
            # A file may differ because the whole artifact was replaced: that is no damage.
            self._artifact.ensure_current()
            raise

    def _shape(self, spec: ArraySpec, lengths: Mapping[str, int]) -> tuple[int, ...]:
        if len(spec.dims) == 1:
            return (-1,)
        return tuple(lengths[dim] for dim in spec.dims)

    def _absent(self, prompt_hash: str, variant: str | None) -> str:
        held = [other for prompt, other in self._identities if prompt == prompt_hash]
        if held and variant is not None:
            return (
                f"{self.path} holds no variant {variant} of prompt {prompt_hash}; "
                f"it holds {', '.join(held)}."
            )
        return (
            f"{self.path} holds no prompt {prompt_hash} (it holds "
            f"{self._artifact.attributes['n_prompts']}); add it to a prompt file, run `dvc repro`."
        )


def _scalar(value: Any, dtype: str) -> Scalar:
    if dtype == "str":
        return str(value)
    scalar: Scalar = value.item()
    return scalar
