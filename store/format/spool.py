"""Items on disk while a collection is assembled, so that memory holds one partition."""

import json
import math
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np

from store.base.errors import InvalidItemError
from store.collections.item import Identity, Item


class Spool:
    """A temporary file of items; it has no name, so that nothing is left behind.

    Parameters
    ----------
    parent
        Folder on the disk that the collection goes to.
    """

    def __init__(self, parent: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=parent)  # noqa: SIM115  closed by __exit__
        self._places: dict[Identity, int] = {}

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, item: Item) -> None:
        """Keep an item.

        Raises
        ------
        InvalidItemError
            One of the same prompt, variant and setting is there already.
        """
        who = item.identity
        if who in self._places:
            raise InvalidItemError(f"prompt {who.prompt_hash}, {who.variant}: the item comes twice.")
        head = {
            "key": item.key,
            "scalars": dict(item.scalars),
            "arrays": [(name, array.dtype.str, array.shape) for name, array in item.arrays.items()],
        }
        self._places[who] = self._file.seek(0, 2)
        self._file.write(json.dumps(head).encode("ascii") + b"\n")
        for array in item.arrays.values():
            self._file.write(array.tobytes())

    def identities(self) -> list[Identity]:
        """Identity of every item, sorted."""
        return sorted(self._places)

    def read(self, who: Identity) -> Item:
        """Take an item back."""
        self._file.seek(self._places[who])
        head = json.loads(self._file.readline())
        arrays = {}
        for name, dtype, shape in head["arrays"]:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            arrays[name] = np.frombuffer(self._file.read(size), dtype).reshape(shape)
        return Item(
            key=head["key"],
            **who._asdict(),
            arrays=arrays,
            scalars=head["scalars"],
        )
