"""What of the item cache nothing refers to any more, and what is held a second time.

An entry is a file named after its content key. Published collections list the keys of what they hold, so
that an entry is *stale* where no collection of its kind lists it. Kinds that nobody publishes (contexts,
answers under steering) are listed nowhere: which of their entries are wanted only a stage can tell, and
what goes cannot be refilled. They go if they are named, and never otherwise. What judges answered lies
with the artifacts, and is nobody's entry.
"""

from collections.abc import Collection as Container
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import yaml
from filelock import FileLock, Timeout

from store.base.errors import UserError
from store.collections.reader import open_collection
from store.format.artifact import open_artifact
from store.format.integrity import find_artifacts
from store.remote.folders import Facts, Files
from store.schema.registry import COLLECTIONS

CLAIMS: Final = "claims"
_ENDING: Final = ".safetensors"


class Standing(StrEnum):
    """What is known of an entry."""

    YOUNG = "young"
    """Written lately: an unfinished run goes on from it."""
    PUBLISHED = "published"
    """A whole collection holds it, so that this is a second copy."""
    DAMAGED = "in damaged"
    """Only collections with a damaged file list it, so that this copy mends them."""
    UNLISTED = "unlisted"
    """No collection here is of its kind."""
    STALE = "stale"
    """Collections of its kind are here, and none lists it."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of the cache by its name there; `size` in bytes."""

    kind: str
    name: str
    size: int
    standing: Standing


@dataclass(frozen=True, kw_only=True)
class Listed:
    """Keys of one kind that collections list, and those of them that whole collections hold."""

    keys: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()


def listed(root: Path, *, check: bool) -> dict[str, Listed]:
    """Keys that the collections below `root` list, by kind.

    Parameters
    ----------
    root
        Folder of all profiles' artifacts.
    check
        Whether every file of a collection is read and held against its digest; else all count as whole.

    Raises
    ------
    StoreError
        A root or an index is damaged, or newer than this code: what it lists is not known.
    """
    found: dict[str, Listed] = {}
    for path in find_artifacts(root) if root.exists() else ():
        if open_artifact(path).kind not in COLLECTIONS:
            continue
        collection = open_collection(path)
        keys = frozenset(collection.keys.values())
        whole = keys if not check or collection.artifact.is_whole() else frozenset[str]()
        before = found.get(collection.kind, Listed())
        found[collection.kind] = Listed(keys=before.keys | keys, whole=before.whole | whole)
    return found


def absent_outs(root: Path) -> list[str]:
    """Artifacts that ``dvc.lock`` below `root` records and that are not in their places.

    What they list is not known, so that all that is theirs seems stale.
    """
    try:
        stages = yaml.safe_load((root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    except FileNotFoundError:
        return []
    paths = sorted({out["path"] for stage in stages.values() for out in stage.get("outs", ())})
    return [path for path in paths if path.startswith("artifacts/") and not (root / path).exists()]


def entries(files: Files, known: Mapping[str, Listed], *, since: float) -> Iterator[Entry]:
    """Every entry of the cache, by kind and key.

    Parameters
    ----------
    files
        The cache's, in a folder or in object storage.
    known
        What collections list.
    since
        Seconds since the epoch; what was written later is young.
    """
    for name, facts in files.facts().items():
        kind, *below = name.split("/")
        last = below[-1] if below else ""
        if len(below) == 2 and kind != CLAIMS and not name.startswith(".") and last.endswith(_ENDING):
            standing = _standing(last.removesuffix(_ENDING), known.get(kind), facts, since)
            yield Entry(kind=kind, name=name, size=facts.size, standing=standing)


def _standing(key: str, known: Listed | None, facts: Facts, since: float) -> Standing:
    if facts.written > since:
        return Standing.YOUNG
    if known is None:
        return Standing.UNLISTED
    if key in known.whole:
        return Standing.PUBLISHED
    return Standing.DAMAGED if key in known.keys else Standing.STALE


def to_go(found: Iterable[Entry], *, published: bool, kinds: Container[str]) -> list[Entry]:
    """The entries that go: what is stale, and what is asked for beside.

    Parameters
    ----------
    found
        Entries of a cache.
    published
        Whether second copies go, too.
    kinds
        Kinds that no collection is of, whose entries go all the same.
    """
    swept = {Standing.STALE, Standing.PUBLISHED} if published else {Standing.STALE}
    return [
        each
        for each in found
        if each.standing in swept or (each.standing is Standing.UNLISTED and each.kind in kinds)
    ]


def require_quiet(root: Path) -> None:
    """Check that no process computes into the cache at `root`: it counts on what it has seen there.

    Raises
    ------
    UserError
        One does.
    """
    for path in (root / CLAIMS).glob("*.lock"):
        lock = FileLock(path)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise UserError(f"Somebody computes into {root} now; sweep it when no stage runs.") from None
        lock.release()
