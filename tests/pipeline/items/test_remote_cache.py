"""Items in object storage: the same bytes as in a folder, shared by machines, refused in one sentence."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest

from pipeline.items.cache import ItemCache, chosen_cache
from pipeline.items.code import QualifiedName
from pipeline.items.collect import collect
from pipeline.items.executor import in_this_process, lacks, with_helpers
from pipeline.items.units import Unit
from pipeline.run.processes import workers
from store.base.errors import UserError
from store.collections.item import Item
from store.collections.reader import open_collection
from store.schema.candidates import CANDIDATES
from tests.support.items import KEY, small_item
from tests.support.object_store import BUCKET, ObjectStore
from tests.support.places import ROOT
from tests.support.shared_work import KIND, compute, files_of, no_models, shared_unit, who_computed


@pytest.fixture
def place(tmp_path: Path, objects: ObjectStore) -> str:
    """Below a prefix of its own: a helper of an earlier test may still finish what it had begun."""
    return f"s3://{BUCKET}/{tmp_path.name}/items"


def meeting(models: Any, unit: Unit) -> Iterator[tuple[str, Item]]:
    """What is computed, but for the first unit once two processes compute."""
    yield from compute(models, unit)
    log, limit = Path(unit.arguments["log"]), time.monotonic() + 300
    while unit.prompt_hash != f"{0:012x}" and len({who for who, _ in who_computed(log)}) < 2:
        assert time.monotonic() < limit, "nobody helps"
        time.sleep(0.05)


def objects_of(cache: ItemCache) -> dict[str, bytes]:
    return {name: cache.files.read(name) or b"" for name in cache.files.listed()}  # type: ignore[union-attr]


def test_the_environment_says_where_items_lie(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "items"
    assert chosen_cache(folder, {}).root == folder
    assert chosen_cache(folder, {"EMC_CACHE": f" file://{tmp_path}/shared "}).root == tmp_path / "shared"
    assert chosen_cache(folder, {"EMC_CACHE": f"{tmp_path}/shared"}).place is None
    cache = chosen_cache(folder, {"EMC_CACHE": place})
    assert (cache.root, cache.place) == (folder, place)
    assert not folder.exists()


def test_a_place_that_cannot_be_used_is_refused_before_anything_is_computed(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for wrong in ("s3://nobody/x", "s4://bucket/x", "s3:/bucket/x"):
        with pytest.raises(UserError):
            chosen_cache(Path("items"), {"EMC_CACHE": wrong})
    assert list(tmp_path.iterdir()) == [], "no folder `s3:`"


def test_an_item_comes_back_as_it_was_put(tmp_path: Path, place: str, objects: ObjectStore) -> None:
    cache, other = ItemCache(tmp_path / "a", place), ItemCache(tmp_path / "b", place)
    assert cache.get("graphs", KEY) is None
    cache.put("graphs", small_item(x=np.arange(6.0).reshape(2, 3)))
    back = other.get("graphs", KEY)
    assert back is not None
    np.testing.assert_array_equal(back.arrays["x"], np.arange(6.0).reshape(2, 3))
    assert back.scalars == small_item().scalars
    objects.requests.clear()
    other.put("graphs", small_item(x=np.arange(6.0).reshape(2, 3)))
    assert objects.methods(tmp_path.name) == ["HEAD"], "what is there is not sent again"


def test_a_damaged_object_is_none_and_is_removed(tmp_path: Path, place: str) -> None:
    cache = ItemCache(tmp_path, place)
    cache.put("graphs", small_item())
    (name,) = objects_of(cache)
    cache.files.write(name, objects_of(cache)[name][:-1] + b"x")
    assert cache.get("graphs", KEY) is None
    assert not cache.holds("graphs", KEY)


def test_bytes_are_those_of_a_folder_and_another_machine_computes_nothing(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    units = [shared_unit(number, log=str(log)) for number in range(2)]
    local, here, there = (
        ItemCache(tmp_path / "local"),
        ItemCache(tmp_path / "here", place),
        ItemCache(tmp_path / "there", place),
    )
    for cache, said in ((local, "4 computed"), (here, "4 computed"), (there, "0 computed, 4 from the cache")):
        folder = tmp_path / f"artifacts-{cache.root.name}"
        assert not collect(units, [CANDIDATES], folder=folder, provenance={}, models=no_models, cache=cache)
        assert f"candidates: {said}" in capsys.readouterr().out
        assert len(open_collection(folder / KIND)) == 4
    assert len(who_computed(log)) == 4, "two units, twice"
    assert objects_of(here) == files_of(local)
    assert not list(here.root.rglob("*.safetensors")), "items lie in one place"


def test_many_units_are_asked_for_by_listings(tmp_path: Path, place: str, objects: ObjectStore) -> None:
    units = [shared_unit(number) for number in range(8)]
    in_this_process(units, no_models, ItemCache(tmp_path / "a", place), "first")
    objects.requests.clear()
    in_this_process(units, no_models, ItemCache(tmp_path / "b", place), "second")
    assert len(objects.methods(tmp_path.name)) <= 3, "16 items"


def test_what_another_machine_put_meanwhile_is_not_computed_again(tmp_path: Path, place: str) -> None:
    log = tmp_path / "log"
    one, other, unit = (
        ItemCache(tmp_path / "a", place),
        ItemCache(tmp_path / "b", place),
        shared_unit(0, log=str(log)),
    )
    assert len(lacks(one, unit)) == 2
    in_this_process([unit], no_models, other, "other")
    assert len(lacks(one, unit)) == 2, "by the listing"
    assert lacks(one, unit, now=True) == []
    in_this_process([unit], no_models, one, "one")
    assert len(who_computed(log)) == 1


def test_helpers_put_items_there_too(tmp_path: Path, place: str) -> None:
    workers(1).shutdown(wait=True, kill_workers=True)  # of an earlier test, without this one's variables
    log = tmp_path / "log"
    units = [
        replace(shared_unit(number, log=str(log)), compute=QualifiedName(__name__, "meeting"))
        for number in range(4)
    ]
    cache = ItemCache(tmp_path / "items", place)
    assert with_helpers(2, worth=0)(units, no_models, cache, "helped") == []
    assert len({process for process, _ in who_computed(log)}) == 2
    assert len(who_computed(log)) == 4, "what a helper put is found"
    assert len(objects_of(cache)) == 8
    assert not list(cache.root.rglob("*.safetensors"))


def test_a_bucket_that_refuses_in_the_middle_ends_the_run_and_keeps_what_is_there(
    tmp_path: Path, place: str, objects: ObjectStore
) -> None:
    cache = ItemCache(tmp_path, place)
    puts = []

    def before(method: str, path: str) -> int | None:
        puts.extend([path] * (method == "PUT" and tmp_path.name in path))
        return 403 if method == "PUT" and len(puts) > 5 else None

    objects.before = before
    units = [shared_unit(number) for number in range(6)]
    with pytest.raises(UserError, match=r"^s3://results/.*/items cannot be used \(PermissionError"):
        in_this_process(units, no_models, cache, "refused")
    objects.forget()
    assert len(objects_of(cache)) == 5
    assert in_this_process(units, no_models, cache, "again") == []
    assert len(objects_of(cache)) == 12


def test_a_writer_that_is_killed_leaves_whole_items_or_none(
    tmp_path: Path, place: str, objects: ObjectStore
) -> None:
    """The server ends the writer as its seventh item has come, before it can be answered."""
    program = (
        "from pathlib import Path\n"
        "from pipeline.items.cache import ItemCache\n"
        "from pipeline.items.executor import in_this_process\n"
        "from tests.support.shared_work import no_models, shared_unit\n"
        f"cache = ItemCache(Path('items'), '{place}')\n"
        "in_this_process([shared_unit(i) for i in range(6)], no_models, cache, 'killed')\n"
    )
    writer: list[subprocess.Popen[bytes]] = []
    puts: set[str] = set()  # what is sent again counts once
    one_at_a_time = Lock()  # requests come in threads

    def before(method: str, path: str) -> int | None:
        with one_at_a_time:
            puts.update([path] * (method == "PUT" and tmp_path.name in path))
            if len(puts) == 7 and writer[0].poll() is None:
                writer[0].kill()
                writer[0].wait()
        return None

    objects.before = before
    writer.append(
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
    )
    assert writer[0].wait() == -9
    objects.forget()
    cache = ItemCache(tmp_path / "items", place)
    held = [shared for shared in range(6) if not lacks(cache, shared_unit(shared))]
    assert held == [0, 1, 2]
    units = [shared_unit(number) for number in range(6)]
    assert in_this_process(units, no_models, cache, "again") == []
    whole = ItemCache(tmp_path / "whole")
    in_this_process(units, no_models, whole, "whole")
    assert objects_of(cache) == files_of(whole)
