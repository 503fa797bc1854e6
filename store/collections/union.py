"""Collections of one kind that are read as one."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from store.base.errors import NotInStoreError
from store.collections.absent import absent
from store.collections.item import Identity, Item
from store.collections.reader import Collection


class Union:
    """Collections of one kind; an item is in one of them.

    Parameters
    ----------
    path
        The folder that they are in.
    parts
        All of them, one at least.
    """

    def __init__(self, path: Path, parts: Sequence[Collection]) -> None:
        self.path = path
        self._parts = tuple(parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __contains__(self, who: tuple[str, str] | Identity) -> bool:
        return any(who in part for part in self._parts)

    def holding(self, prompt_hash: str, variant: str) -> Collection:
        """The collection that holds an item.

        Raises
        ------
        NotInStoreError
            None does.
        """
        who = Identity(prompt_hash, variant)
        for part in self._parts:
            if who in part:
                return part
        rows = (part.index[list(Identity._fields)].itertuples(index=False) for part in self._parts)
        held = [Identity(*row) for row in chain.from_iterable(rows)]
        raise NotInStoreError(absent(self.path, who, held, len({each.prompt_hash for each in held})))

    def item(self, prompt_hash: str, variant: str, arrays: Iterable[str] | None = None) -> Item:
        """Read one item; see `Collection.item`, which says what it raises."""
        return self.holding(prompt_hash, variant).item(prompt_hash, variant, arrays)
