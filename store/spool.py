"""Items on disk while a collection is assembled, so that memory holds one partition."""

import json
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np

from store.errors import InvalidItemError
from store.items import Item


class Spool:
    """A temporary folder of items, removed when the block ends.

    Parameters
    ----------
    parent
        Folder that gets the temporary folder: the disk that the collection goes to.
    """

    def __init__(self, parent: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=parent, prefix=".spool."))
        self._places: dict[tuple[str, str], Path] = {}

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, item: Item) -> None:
        """Keep an item.

        Raises
        ------
        InvalidItemError
            One of the same prompt and variant is there already.
        """
        who = (item.prompt_hash, item.variant)
        if who in self._places:
            raise InvalidItemError(f"prompt {who[0]}, {who[1]}: the item comes twice.")
        place = self._folder / f"{len(self._places)}.npz"
        head = json.dumps({"key": item.key, "scalars": dict(item.scalars)})
        # Dtypes are what check_item has passed: no object arrays, hence no pickle.
        np.savez(place, allow_pickle=False, **{f"array {n}": a for n, a in item.arrays.items()})
        place.with_suffix(".json").write_text(head, encoding="ascii")
        self._places[who] = place

    def identities(self) -> list[tuple[str, str]]:
        """Prompt hash and variant of every item, sorted."""
        return sorted(self._places)

    def read(self, prompt_hash: str, variant: str) -> Item:
        """Take an item back."""
        place = self._places[prompt_hash, variant]
        head = json.loads(place.with_suffix(".json").read_text(encoding="ascii"))
        with np.load(place, allow_pickle=False) as arrays:
            return Item(
                key=head["key"],
                prompt_hash=prompt_hash,
                variant=variant,
                arrays={name.removeprefix("array "): arrays[name] for name in arrays.files},
                scalars=head["scalars"],
            )
