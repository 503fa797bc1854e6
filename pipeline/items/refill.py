"""Refill the item cache from a store that a teammate computed.

After ``git clone`` and ``dvc pull`` the item cache is empty, and DVC removes a stage's old
outs before it runs. The old out is still in DVC's own cache, where ``dvc.lock`` finds it.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.items.cache import ItemCache
from pipeline.items.units import ItemName
from store.base.errors import ArtifactMissingError, ReplacedArtifactError, StoreError
from store.collections.reader import open_collection

_ATTEMPTS: Final = 5
"""Times that a store is opened; one that is replaced more often is no source."""


def refill(cache: ItemCache, kind: str, names: Sequence[ItemName], out: Path) -> int:
    """Put what the previous version of the collection at `out` holds into the cache.

    Only when one of the named items is not in the cache. A damaged or older store is no source;
    its items are then computed again. One that another run replaces meanwhile, or that DVC
    removes, is looked for again: what has taken its place is as good. Returns the number of items
    put.
    """
    lacked = _lacked(cache, kind, names)
    wanted = lacked
    for _ in range(_ATTEMPTS):
        if not wanted:
            break
        with _previous(out) as folder:
            if folder is None:
                break
            try:
                _put(cache, kind, wanted, folder)
                break
            except (ReplacedArtifactError, ArtifactMissingError):
                wanted = _lacked(cache, kind, names)
            except StoreError:
                break
    return len(lacked) - len(_lacked(cache, kind, names))


def _lacked(cache: ItemCache, kind: str, names: Sequence[ItemName]) -> set[str]:
    return {name.key for name in names if not cache.holds(kind, name.key)}


def _put(cache: ItemCache, kind: str, wanted: set[str], folder: Path) -> None:
    collection = open_collection(folder)
    index = collection.index
    for row in index[index["key"].isin(wanted)].itertuples():
        cache.put(kind, collection.item(row.prompt_hash, row.variant))


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
