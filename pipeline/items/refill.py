"""Refill the item cache from a store that a teammate computed.

After ``git clone`` and ``dvc pull`` the item cache is empty. A stage's old outs are in their place
(``persist`` in ``dvc.yaml``), or in DVC's own cache, where ``dvc.lock`` finds them.
"""

import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from pipeline.items.cache import ItemCache
from pipeline.items.recorded import recorded
from pipeline.items.units import ItemName
from store.base.atomic import locked, snapshot
from store.base.errors import ArtifactMissingError, ReplacedArtifactError, StoreError
from store.collections.item import Item
from store.collections.reader import open_collection

Read = Callable[[Path, Sequence[ItemName]], Iterable[Item]]
"""From the folder of an artifact to those of the named items that it holds."""

_ATTEMPTS: Final = 5
"""Times that a store is opened; one that is replaced more often is no source."""


def refill(
    cache: ItemCache, kind: str, names: Sequence[ItemName], out: Path, read: Read | None = None
) -> int:
    """Let the cache have what the previous version of the artifact at `out` holds.

    What is not in its place is looked for where DVC keeps it only if one of the named items is not
    in the cache. A store is attached as it is (`ItemCache.attach`), so that what of it is wanted
    again is copied and not read; of a damaged one what can be read is put into the cache, and the
    rest computed again. In what is no collection `read` finds the items, which are put into the
    cache. One that another run replaces meanwhile, or that DVC removes, is looked for
    again: what has taken its place is as good. Returns the number of items that came by it.
    """
    lacked = _lacked(cache, kind, names)
    for _ in range(_ATTEMPTS):
        try:
            if out.exists():
                _take(cache, kind, names, out, read)
            elif _lacked(cache, kind, names):
                _take_recorded(cache, kind, names, out, read)
            break
        except (ReplacedArtifactError, ArtifactMissingError):
            continue
        except StoreError:
            break
    return len(lacked) - len(_lacked(cache, kind, names))


def _lacked(cache: ItemCache, kind: str, names: Sequence[ItemName]) -> set[str]:
    # What another machine puts meanwhile is no loss: it is looked for once more before it is computed.
    return {name.key for name in names if not cache.holds(kind, name.key, now=False)}


def _take(cache: ItemCache, kind: str, names: Sequence[ItemName], folder: Path, read: Read | None) -> None:
    if read is not None:
        if wanted := [name for name in names if not cache.holds(kind, name.key, now=False)]:
            for item in read(folder, wanted):
                cache.put(kind, item)
        return
    found = open_collection(folder)
    asked = {name.key for name in names}
    here = {who: key for who, key in found.keys.items() if key in asked}
    if not here:
        return
    with ExitStack() as stack:
        try:
            copied = open_collection(stack.enter_context(snapshot(folder, cache.root)))
        except FileNotFoundError:
            copied = None
        found.artifact.ensure_current()
        if copied is not None and copied.artifact.is_whole():
            cache.attach(kind, copied)
            # It goes with the cache, at the latest when the program ends.
            weakref.finalize(cache, stack.pop_all().close)
            return
        for who, key in here.items():
            if not cache.holds(kind, key):
                cache.put(kind, found.item(who.prompt_hash, who.variant, setting=who.setting))


def _take_recorded(
    cache: ItemCache, kind: str, names: Sequence[ItemName], out: Path, read: Read | None
) -> None:
    # DVC's databases take one process at a time.
    with locked(Path()):
        if _lacked(cache, kind, names):
            with recorded(out) as folder:
                if folder is not None:
                    _take(cache, kind, names, folder, read)
