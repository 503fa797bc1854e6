"""Ragged collections: one item a prompt, variant and setting, partitioned by prompt hash.

Items whose prompt hashes begin alike share a partition, a Zarr group in which each array holds the items'
arrays end to end. The ``index`` group has a row an item: its identity, its scalars, and where it starts and
stops along each dimension. ``FORMAT.md`` has it in full.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from store.base.errors import DamagedArtifactError, NotInStoreError, UnknownFormatError
from store.collections.absent import absent, no_array
from store.collections.cutting import cut, scalar, side_by_side
from store.collections.item import UNSTEERED, Identity, Item
from store.collections.on_demand import ArraysOnDemand
from store.collections.writer import (
    BOUNDS,
    INDEX,
    RAGGED,
    KeptPartition,
    is_described,
    ragged_dim,
    write_collection,
)
from store.format.arrays import ArrayReader, FileRecord
from store.format.artifact import Artifact, open_artifact
from store.schema.registry import COLLECTIONS
from store.schema.specs import FORMAT_VERSION, SETTINGS_SINCE, CollectionSchema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Collection", "open_collection", "write_collection"]


def open_collection(path: Path) -> "Collection":
    """Open a collection for reading; reads its root only, with which a small index comes from elsewhere.

    Raises
    ------
    ArtifactMissingError
        There is nothing at `path`.
    UnknownFormatError
        A format version newer than this code, or no collection.
    DamagedArtifactError
        Its root is damaged.
    """
    artifact = open_artifact(path, ahead=INDEX)
    if artifact.kind not in COLLECTIONS:
        raise UnknownFormatError(
            f"{path} holds `{artifact.kind}`, which is no collection; "
            f"collections are {', '.join(COLLECTIONS)}."
        )
    return Collection(artifact, COLLECTIONS[artifact.kind].at(artifact.version))


class Collection:
    """A collection open for reading; items are read with checks, one by one or so many at once.

    It stays tied to what was at its path when it was opened: once that is published anew,
    reading raises `ReplacedArtifactError` instead of mixing the two.
    """

    def __init__(self, artifact: Artifact, schema: CollectionSchema) -> None:
        self._artifact = artifact
        self._schema = schema
        self._columns: dict[str, np.ndarray] = {}
        self._files: dict[str, dict[str, FileRecord]] = {}
        # Of the partition that was read last alone: of all there would be hundreds of thousands.
        self._opened: tuple[str, dict[str, ArrayReader]] = ("", {})

    @property
    def path(self) -> Path:
        """Folder of the collection."""
        return self._artifact.path

    @property
    def kind(self) -> str:
        """Kind of the collection, as in `store.schema.registry.COLLECTIONS`."""
        return self._artifact.kind

    @property
    def schema(self) -> CollectionSchema:
        """Arrays and scalars of its items, without those that are later than its version."""
        return self._schema

    @property
    def provenance(self) -> dict[str, Any]:
        """What the items were computed from."""
        return dict(self._artifact.provenance)

    @cached_property
    def index(self) -> "pd.DataFrame":
        """A row an item, sorted: prompt_hash, variant, setting, key and the schema's scalars."""
        import pandas as pd  # opening one graph does without it

        names = (*Identity._fields, "key", *self._schema.scalars)
        self._load(*names)
        columns = {name: self._columns[name] for name in names}
        return pd.DataFrame({n: c.astype(object) if c.dtype.kind == "T" else c for n, c in columns.items()})

    def __len__(self) -> int:
        return int(self._artifact.attributes["n_items"])

    def __contains__(self, who: tuple[str, str] | Identity) -> bool:
        return Identity(*who) in self._rows

    def prompts(self) -> list[str]:
        """Prompt hashes, sorted."""
        return list(dict.fromkeys(who.prompt_hash for who in self._rows))

    def variants(self, prompt_hash: str | None = None) -> list[str]:
        """Variants of a prompt, or of any prompt, sorted.

        Raises
        ------
        NotInStoreError
            The collection does not hold the prompt.
        """
        if prompt_hash is None:
            return sorted({who.variant for who in self._rows})
        first = bisect_left(self._identities, Identity(prompt_hash, ""))
        found = list(takewhile(lambda who: who.prompt_hash == prompt_hash, self._identities[first:]))
        if not found:
            raise NotInStoreError(self._absent(Identity(prompt_hash, "")))
        return list(dict.fromkeys(who.variant for who in found))

    def item(
        self,
        prompt_hash: str,
        variant: str,
        arrays: Iterable[str] | None = None,
        *,
        setting: str = UNSTEERED,
    ) -> Item:
        """Read one item.

        Parameters
        ----------
        prompt_hash, variant, setting
            Which one; without a setting, the one for which nothing was done to the model.
        arrays
            Names of the arrays to read; all by default. An item of an older format version
            lacks the arrays that came later.

        Raises
        ------
        NotInStoreError
            The collection does not hold the item, or not such an array.
        DamagedArtifactError
            A chunk is missing, truncated or altered; names array and prompt.
        ReplacedArtifactError
            The collection was published anew since it was opened.
        """
        row = self._row(Identity(prompt_hash, variant, setting))
        names = self._known(self._schema.arrays if arrays is None else arrays)
        return self._item(row, dict(zip(names, self._read_one(row, names), strict=True)))

    def item_on_demand(self, prompt_hash: str, variant: str, setting: str = UNSTEERED) -> Item:
        """One item whose arrays are read when first used, with others of their family.

        What shows a part of an item takes a part of the time. Using an array raises what
        `item` raises for it.

        Raises
        ------
        NotInStoreError
            The collection does not hold the item.
        """
        row = self._row(Identity(prompt_hash, variant, setting))
        return self._item(row, ArraysOnDemand(tuple(self._schema.arrays), partial(self._read_one, row)))

    @cached_property
    def keys(self) -> dict[Identity, str]:
        """Content key of every item, sorted by what tells it from the others."""
        self._load(*Identity._fields, "key")
        return dict(zip(self._identities, map(str, self._columns["key"].tolist()), strict=True))

    def key(self, prompt_hash: str, variant: str, setting: str = UNSTEERED) -> str | None:
        """Content key of an item; None if the collection does not hold it."""
        return self.keys.get(Identity(prompt_hash, variant, setting))

    @property
    def artifact(self) -> Artifact:
        """The files that it is read from."""
        return self._artifact

    def kept_partition(self, name: str, members: Sequence[Identity]) -> KeptPartition | None:
        """The partition of that name, for a writer to take over, if it holds exactly these items.

        None, too, if its arrays are not described as they would be today.
        """
        if self._artifact.version != FORMAT_VERSION or name not in self._artifact.groups:
            return None
        self._row(members[0])
        first, folder = bisect_left(self._identities, members[0]), self.path / name
        rows = np.flatnonzero(self._columns["partition"] == name).tolist()
        same = self._identities[first : first + len(rows)] == list(members) and rows[:1] == [first]
        if not same or not is_described(folder, self._schema):
            return None
        spans = {who: self._bounds(row) for who, row in zip(members, rows, strict=True)}
        return KeptPartition(folder=folder, record=self._artifact.groups[name], spans=spans)

    def items(self, arrays: Iterable[str] | None = None) -> Iterator[Item]:
        """Every item, sorted by prompt hash, variant and setting, with all arrays or these; see `each`."""
        names = self._known(self._schema.arrays if arrays is None else arrays)
        self._load("key", *self._schema.scalars)
        for row, (_, values) in enumerate(self.each(names)):
            yield self._item(row, dict(zip(names, values, strict=True)))

    def each(self, names: Sequence[str]) -> Iterator[tuple[Identity, list[np.ndarray]]]:
        """Some arrays of every item, sorted; of neighbours 8 MB are read at once. Raises as `item`."""
        names = self._known(names)
        self._load(*Identity._fields, "partition", RAGGED, *BOUNDS)
        of = [self._columns[RAGGED].tolist().index(ragged_dim(self._schema.arrays[name])) for name in names]
        for rows in side_by_side(self._columns["partition"], *(self._columns[end][:, of] for end in BOUNDS)):
            self._artifact.bring_next(str(self._columns["partition"][rows[0]]), names)
            try:
                found = iter(self._read(rows, names))
            except DamagedArtifactError:  # one by one: those that are whole, and whose the damage is
                found = (self._read([row], names)[0] for row in rows)
            yield from zip((self._identities[row] for row in rows), found, strict=True)

    @cached_property
    def _identities(self) -> list[Identity]:
        self._load(*Identity._fields)
        columns = [self._columns[name].tolist() for name in Identity._fields]
        return list(map(Identity, *columns))

    @cached_property
    def _rows(self) -> dict[Identity, int]:
        return {who: row for row, who in enumerate(self._identities)}

    def _row(self, who: Identity) -> int:
        """Row of an item in the index, of which all columns are read at once."""
        self._load(*Identity._fields, "partition", "key", RAGGED, *BOUNDS, *self._schema.scalars)
        if who not in self._rows:
            raise NotInStoreError(self._absent(who))
        return self._rows[who]

    def _item(self, row: int, arrays: Mapping[str, np.ndarray]) -> Item:
        scalars = self._schema.scalars
        return Item(
            key=str(self._columns["key"][row]),
            **self._identities[row]._asdict(),
            arrays=arrays,
            scalars={name: scalar(self._columns[name][row], scalars[name].dtype) for name in scalars},
        )

    def _load(self, *names: str) -> None:
        """Read columns of the index that have not been read yet."""
        if not (wanted := [name for name in names if name not in self._columns]):
            return
        early = "setting" in wanted and self._artifact.version < SETTINGS_SINCE
        read = [name for name in wanted if not (early and name == "setting")]
        columns = self._artifact.read([(self._reader(INDEX, name, "the index"), None) for name in read])
        self._columns.update(zip(read, columns, strict=True))
        if early:
            self._columns["setting"] = np.full(len(self), UNSTEERED, dtype=object)

    def _read_one(self, row: int, names: Sequence[str]) -> list[np.ndarray]:
        self._artifact.bring_metadata(str(self._columns["partition"][row]))
        return self._read([row], names)[0]

    def _read(self, rows: Sequence[int], names: Sequence[str]) -> list[list[np.ndarray]]:
        """Arrays of items that lie side by side in one partition."""
        partition = str(self._columns["partition"][rows[0]])
        owner = "prompt {}, {}".format(*self._identities[rows[0]])
        specs, bounds = [self._schema.arrays[name] for name in names], [self._bounds(row) for row in rows]
        parts = [slice(bounds[0][dim][0], bounds[-1][dim][1]) for dim in map(ragged_dim, specs)]
        readers = [self._reader(partition, name, owner) for name in names]
        return cut(specs, self._artifact.read([*zip(readers, zip(parts), strict=True)]), bounds)

    def _bounds(self, row: int) -> dict[str, tuple[int, int]]:
        start, stop = (self._columns[end][row].tolist() for end in BOUNDS)
        return dict(zip(self._columns[RAGGED].tolist(), zip(start, stop, strict=True), strict=True))

    def _reader(self, group: str, name: str, owner: str) -> ArrayReader:
        if group not in self._files:
            self._files[group] = self._artifact.group_files(group)
        if (opened := self._opened)[0] != group:
            self._opened = opened = group, {}
        if name not in opened[1]:
            opened[1][name] = self._artifact.reader(group, name, self._files[group], owner=owner)
        return opened[1][name].of(owner)

    def _known(self, names: Iterable[str]) -> tuple[str, ...]:
        schema, known = COLLECTIONS[self.kind], tuple(names)
        for name in {*known} - self._schema.arrays.keys():
            raise NotInStoreError(no_array(self.path, name, schema, self._artifact.version))
        return known

    def _absent(self, who: Identity) -> str:
        return absent(self.path, who, self._identities, self._artifact.attributes["n_prompts"])
