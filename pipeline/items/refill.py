"""Refill the item cache from a store that a teammate computed.

After ``git clone`` and ``dvc pull`` the item cache is empty, and DVC removes a stage's old
outs before it runs. The old out is still in DVC's own cache, where ``dvc.lock`` finds it.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.items.cache import ItemCache
from pipeline.items.units import ItemName
from store.base.errors import StoreError
from store.collections.reader import open_collection


def refill(cache: ItemCache, kind: str, names: Sequence[ItemName], out: Path) -> int:
    """Put what the previous version of the collection at `out` holds into the cache.

    Only when one of the named items is not in the cache. A damaged or older store is no source;
    its items are then computed again. Returns the number of items put.
    """
    wanted = {name.key for name in names if not cache.holds(kind, name.key)}
    if not wanted:
        return 0
    with _previous(out) as folder:
        if folder is None:
            return 0
        try:
            collection = open_collection(folder)
            found = collection.index[collection.index["key"].isin(wanted)]
            for row in found.itertuples():
                cache.put(kind, collection.item(row.prompt_hash, row.variant))
        except StoreError:
            return 0
    return len(found)


@contextmanager
def _previous(out: Path) -> Iterator[Path | None]:
    """The out where it stands, else a copy of what ``dvc.lock`` records, else None."""
    if out.exists():
        yield out
        return
    # Imported here: a second that only a stage with an empty cache needs to spend.
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexDirError

    aside = Path(tempfile.mkdtemp(prefix="refill-"))
    try:
        folder = aside / out.name
        try:
            filesystem = DVCFileSystem(str(Path.cwd()))
            if not filesystem.isdir(out.as_posix()):
                yield None
                return
            filesystem.get(out.as_posix(), str(folder), recursive=True)
        except (DvcException, DataIndexDirError, OSError):
            # No DVC project here, or the objects were never pulled: compute instead.
            yield None
            return
        yield folder
    finally:
        shutil.rmtree(aside)
