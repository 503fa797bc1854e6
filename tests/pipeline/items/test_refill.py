"""A previous store is a source of items, also while another run replaces it."""

import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipeline.items import refill as module
from pipeline.items.cache import ItemCache
from pipeline.items.refill import refill
from pipeline.items.units import ItemName
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.collections.writer import write_collection
from store.schema.candidates import CANDIDATES
from tests.support.random_items import make_items, same_item

KIND = CANDIDATES.kind
ITEMS = make_items(CANDIDATES, 3)


def names(items: list[Item] = ITEMS) -> list[ItemName]:
    return [ItemName(key=each.key, prompt_hash=each.prompt_hash, variant=each.variant) for each in items]


def publish(out: Path, items: list[Item] = ITEMS, *, run: int = 0) -> None:
    write_collection(out, CANDIDATES, items, provenance={"run": run})


def interfering(monkeypatch: pytest.MonkeyPatch, *runs: object) -> list[Path]:
    """Do one thing after each opening of a store; returns the stores that are opened, but no copies."""
    waiting, opened = list(runs), []

    def opens(path: Path) -> Collection:
        found = open_collection(path)
        if path.is_relative_to("items"):
            return found
        opened.append(path)
        if waiting:
            waiting.pop(0)()  # type: ignore[operator]
        return found

    monkeypatch.setattr(module, "open_collection", opens)
    return opened


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with everything, in a folder that is no project of DVC's."""
    monkeypatch.chdir(tmp_path)
    publish(Path("out"))
    return Path("out")


def test_what_is_lacked_is_taken_over(out: Path) -> None:
    cache = ItemCache(Path("items"))
    cache.put(KIND, ITEMS[0])
    assert refill(cache, KIND, names(), out) == len(ITEMS) - 1
    assert all(cache.holds(KIND, item.key) for item in ITEMS)
    assert refill(cache, KIND, names(), out) == 0


def test_a_store_that_is_replaced_is_opened_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Twice: by one without the last item, and by one that has it again.
    again = (lambda: publish(out, ITEMS[:-1], run=1), lambda: publish(out, run=2))
    opened = interfering(monkeypatch, *again)
    cache = ItemCache(Path("items"))
    assert refill(cache, KIND, names(), out) == len(ITEMS)
    assert len(opened) == 3
    assert [cache.get(KIND, item.key) is not None for item in ITEMS] == [True] * len(ITEMS)


def test_a_store_that_another_run_writes_alike_is_not_even_opened_again(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = interfering(monkeypatch, lambda: publish(out))
    assert refill(ItemCache(Path("items")), KIND, names(), out) == len(ITEMS)
    assert len(opened) == 1


def test_a_store_that_goes_is_no_source_and_no_error(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interfering(monkeypatch, lambda: shutil.rmtree(out))
    cache = ItemCache(Path("items"))
    assert refill(cache, KIND, names(), out) == 0
    assert not any(cache.holds(KIND, item.key) for item in ITEMS)


def test_a_store_that_never_stays_is_no_source_and_no_error(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = interfering(monkeypatch, *(lambda run=run: publish(out, run=run) for run in range(1, 100)))
    assert refill(ItemCache(Path("items")), KIND, names(), out) == 0
    assert len(opened) < 10


def test_what_is_taken_over_is_read_when_it_is_used_and_stays(out: Path) -> None:
    cache = ItemCache(Path("items"))
    assert refill(cache, KIND, names(), out) == len(ITEMS)
    assert not list(cache.root.glob(f"{KIND}/*")), "nothing is written a second time"
    shutil.rmtree(out)  # as DVC does
    publish(out, [])  # or another run
    for item in ITEMS:
        found = cache.get(KIND, item.key)
        assert found is not None
        assert same_item(found, item)
    copies = [path for path in cache.root.iterdir() if path.suffix == ".aside"]
    assert len(copies) == 1
    del cache, found
    assert not copies[0].exists()


def test_without_links_the_copy_is_a_copy(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr("os.link", refused)
    cache = ItemCache(Path("items"))
    assert refill(cache, KIND, names(), out) == len(ITEMS)
    assert cache.store(KIND) is not None


class Recorded:
    """DVC's file system, as far as it is asked: it has what stood at ``out``."""

    copies = 0
    busy = False

    def __init__(self, root: str) -> None:
        self.root = Path(root)
        if self.busy:
            raise sqlite3.OperationalError("database is locked")

    def isdir(self, path: str) -> bool:
        return (self.root / "recorded" / path).is_dir()

    def get(self, path: str, to: str, *, recursive: bool) -> None:
        assert recursive
        type(self).copies += 1
        shutil.copytree(self.root / "recorded" / path, to)


LISTING = f"{'a' * 32}.dir"


def lock(out: Path, listing: str) -> None:
    """``dvc.lock`` as DVC writes it; the same file names the out where others read it."""
    stages = {
        "made": {"cmd": "make", "outs": [{"path": str(out), "hash": "md5", "md5": listing, "size": 1}]},
        "reader": {
            "cmd": "read",
            "deps": [{"path": f"{out}/more", "hash": "md5", "md5": "b" * 32, "size": 1}],
        },
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}, sort_keys=False))


def keep(cache: Path, listing: str) -> None:
    """DVC's cache, in which a listing lies."""
    path = cache / "files" / "md5" / listing[:2] / listing[2:]
    path.parent.mkdir(parents=True)
    path.write_text("[]")


@pytest.fixture
def recorded(out: Path, monkeypatch: pytest.MonkeyPatch) -> type[Recorded]:
    """The store is where DVC has it, and no more in its place."""
    Path("recorded").mkdir()
    shutil.move(out, Path("recorded") / out)
    lock(out, LISTING)
    keep(Path(".dvc/cache"), LISTING)
    monkeypatch.setattr("dvc.api.DVCFileSystem", Recorded)
    monkeypatch.setattr(Recorded, "copies", 0)
    return Recorded


def test_of_two_runs_one_asks_dvc_and_the_other_finds_the_items(
    out: Path, recorded: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    meet = threading.Barrier(2)
    lock = module.locked

    def together(folder: Path) -> AbstractContextManager[None]:
        meet.wait(60)  # both lack all items by now
        return lock(folder)

    monkeypatch.setattr(module, "locked", together)
    cache = ItemCache(Path("items"))
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(refill, cache, KIND, names(), out) for _ in range(2)]
        assert [job.result() for job in jobs] == [len(ITEMS)] * 2
    assert recorded.copies == 1


@pytest.mark.parametrize(
    ("listed", "kept", "asked"),
    [
        (LISTING, LISTING, True),
        (LISTING, None, False),  # never pulled
        (f"{'c' * 32}.dir", LISTING, False),
        (None, LISTING, False),  # made for the first time
    ],
)
def test_dvc_is_asked_only_for_what_its_cache_has(
    out: Path, monkeypatch: pytest.MonkeyPatch, listed: str | None, kept: str | None, asked: bool
) -> None:
    opened = []

    class Asked(Recorded):
        def __init__(self, root: str) -> None:
            opened.append(root)
            super().__init__(root)

    monkeypatch.setattr("dvc.api.DVCFileSystem", Asked)
    shutil.rmtree(out)
    if listed is not None:
        lock(out, listed)
    if kept is not None:
        keep(Path("elsewhere"), kept)
    Path(".dvc").mkdir()
    Path(".dvc/config.local").write_text("[cache]\n    dir = ../elsewhere\n")
    assert refill(ItemCache(Path("items")), KIND, names(), out) == 0
    assert bool(opened) == asked


def test_a_dvc_that_is_busy_is_no_source_and_no_error(
    out: Path, recorded: type[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "busy", True)
    assert refill(ItemCache(Path("items")), KIND, names(), out) == 0


def test_what_was_taken_over_before_a_damage_is_counted(out: Path) -> None:
    (chunk, *_) = sorted(out.glob("*/candidate_token/c*"), reverse=True)
    chunk.write_bytes(chunk.read_bytes()[:-1])
    cache = ItemCache(Path("items"))
    taken = refill(cache, KIND, names(), out)
    assert taken == sum(cache.holds(KIND, item.key) for item in ITEMS) < len(ITEMS)


def test_other_items_are_left(out: Path) -> None:
    others = names([replace(item, key="f" * 64) for item in ITEMS[:1]])
    cache = ItemCache(Path("items"))
    assert refill(cache, KIND, others, out) == 0
    assert not cache.root.exists()
