"""Links in place of copies, between store, item cache and DVC's cache: nothing is written through one."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from dvc.repo import Repo

from pipeline.items.cache import ItemCache
from pipeline.items.refill import refill
from pipeline.items.units import ItemName
from pipeline.run.stage import CACHE
from store.base.atomic import write_bytes
from store.collections.item import Item
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.schema.candidates import CANDIDATES
from tests.support.random_items import make_items, same_item

OUT: Final = Path("artifacts/p/candidates")
OLD: Final = make_items(CANDIDATES, 40)
DROPPED: Final = OLD[0].prompt_hash
NEW: Final = [item for item in OLD if item.prompt_hash != DROPPED]


@contextmanager
def project(kind: str = "hardlink") -> Iterator[Repo]:
    """A project of DVC's in the working directory, whose outs are links into its cache, or copies."""
    if not Path(".dvc").exists():
        Repo.init(no_scm=True).close()
    Path(".dvc/config").write_text(
        f"[core]\n    no_scm = true\n[cache]\n    type = {kind}\n", encoding="utf-8"
    )
    repo = Repo()
    try:
        yield repo
    finally:
        repo.close()


def objects() -> list[Path]:
    return [path for path in Path(".dvc/cache/files/md5").rglob("*") if path.is_file()]


def unharmed() -> bool:
    """Whether every object of DVC's cache still holds what its name says."""
    return all(
        hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == f"{path.parent.name}{path.stem}"
        for path in objects()
    )


def publish(cache: ItemCache, items: Sequence[Item]) -> None:
    """As a stage does: what the last store holds is taken from there."""
    names = [ItemName(key=each.key, prompt_hash=each.prompt_hash, variant=each.variant) for each in items]
    refill(cache, CANDIDATES.kind, names, OUT)
    for item in items:
        cache.put(CANDIDATES.kind, item)
    found = (cache.get(CANDIDATES.kind, item.key) for item in items)
    write_collection(
        OUT,
        CANDIDATES,
        (item for item in found if item is not None),
        provenance={"n": len(items)},
        previous=cache.store(CANDIDATES.kind),
    )


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def inodes(folder: Path) -> set[int]:
    return {path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # of pygtrie, which DVC uses
def test_what_is_taken_over_is_linked_and_nothing_is_written_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    publish(ItemCache(CACHE), OLD)
    with project() as repo:
        repo.add(str(OUT))
        assert inodes(OUT) <= inodes(Path(".dvc/cache"))  # one file by two names
        before = inodes(OUT)

        publish(ItemCache(CACHE), NEW)  # the stage runs again, with a prompt less
        assert len(inodes(OUT) & before) > len(before) / 2
        assert unharmed()
        assert open_collection(OUT).artifact.is_whole()

        repo.add(str(OUT))
        first, second = contents(OUT), objects()
        publish(ItemCache(CACHE), OLD)  # and back
        assert unharmed()
        assert len(objects()) == len(second)
        repo.checkout(str(OUT), force=True)
    assert contents(OUT) == first
    stored = open_collection(OUT)
    assert DROPPED not in stored.prompts()
    assert all(same_item(item, stored.item(item.prompt_hash, item.variant)) for item in NEW)


@pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # of pygtrie, which DVC uses
def test_copies_become_links_and_an_edit_in_place_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What replaces a file harms nothing; what writes into it, as root can, writes into DVC's cache."""
    monkeypatch.chdir(tmp_path)
    publish(ItemCache(CACHE), OLD)
    with project("copy") as repo:
        repo.add(str(OUT))
        assert not inodes(OUT) & inodes(Path(".dvc/cache"))
    with project("hardlink") as repo:
        repo.checkout(str(OUT), relink=True)
        assert inodes(OUT) <= inodes(Path(".dvc/cache"))
        first = contents(OUT)
        largest = max(first, key=lambda path: len(first[path]))
        assert not largest.stat().st_mode & 0o222, "read-only"

        write_bytes(largest, b"edited")
        assert unharmed()
        repo.checkout(str(OUT), force=True)
        assert contents(OUT) == first

        largest.chmod(0o644)
        with largest.open("r+b") as file:
            file.write(b"edited")
        assert not unharmed()
        assert not open_collection(OUT).artifact.is_whole()
