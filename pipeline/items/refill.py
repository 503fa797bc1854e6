"""Refill the item cache from a store that a teammate computed.

After ``git clone`` and ``dvc pull`` the item cache is empty, and DVC removes a stage's old
outs before it runs. The old out is still in DVC's own cache, where ``dvc.lock`` finds it.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pipeline.items.cache import ItemCache
from pipeline.items.units import ItemName
from store.base.atomic import locked
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
    for _ in range(_ATTEMPTS):
        if not (wanted := _lacked(cache, kind, names)):
            break
        try:
            if out.exists():
                _put(cache, kind, wanted, out)
            else:
                _put_recorded(cache, kind, names, out)
            break
        except (ReplacedArtifactError, ArtifactMissingError):
            continue
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


def _put_recorded(cache: ItemCache, kind: str, names: Sequence[ItemName], out: Path) -> None:
    # DVC's databases take one process at a time; who has waited finds the items there.
    with locked(Path()):
        if wanted := _lacked(cache, kind, names):
            with _recorded(out) as folder:
                if folder is not None:
                    _put(cache, kind, wanted, folder)


@contextmanager
def _recorded(out: Path) -> Iterator[Path | None]:
    """A copy of what ``dvc.lock`` records of the out, or None."""
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
        except (DvcException, DataIndexDirError, OSError, sqlite3.OperationalError):
            # No DVC project here, the objects were never pulled, or a `dvc` command is at its
            # databases for long: compute instead.
            yield None
            return
        yield folder
    finally:
        shutil.rmtree(aside)
