"""What is missing is computed once, whoever computes; a prompt that fails stops nobody else."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.items.cache import ItemCache
from pipeline.items.code import QualifiedName
from pipeline.items.collect import collect, compute, finished
from pipeline.items.executor import (
    claim,
    compute_unit,
    in_this_process,
    lacks,
    loaded_once,
    with_helpers,
)
from pipeline.items.model_source import ModelSource
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from pipeline.params.runtime import RuntimeParams
from store.base.errors import PromptError, UserError
from store.collections.item import UNSTEERED, Item
from store.collections.reader import open_collection
from store.schema.candidates import CANDIDATES
from tests.support.items import MANIFEST

KIND = CANDIDATES.kind


_BEGUN: dict[str, float] = {}
"""When this process first computed with a log."""


def models() -> ModelPool:
    """Of which nothing is ever loaded."""
    return ModelPool(MANIFEST)


def _who(log: Path) -> list[str]:
    return [line.split()[0] for line in log.read_text().splitlines()]


def candidates(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Items of every variant; says so in a file, waits there until so many do, and takes as long as told."""
    log = unit.arguments.get("log")
    if log is not None:
        with Path(log).open("a") as file:
            file.write(f"{os.getpid()} {unit.prompt_hash}\n")
        deadline = _BEGUN.setdefault(log, time.monotonic()) + 300  # for all units together
        while len(set(_who(Path(log)))) < unit.arguments.get("until", 1) and time.monotonic() < deadline:
            time.sleep(0.05)
    for variant, setting in product(unit.variants, unit.settings):
        time.sleep(unit.arguments.get("seconds", 0))
        if unit.arguments.get("fails"):
            raise PromptError("At layer 1, position 2, a logit is NaN.", layer=1, position=2)
        if unit.arguments.get("stops") == variant:
            raise KeyboardInterrupt
        if unit.arguments.get("dies_unless") not in (None, os.getpid()):
            os.kill(os.getpid(), signal.SIGKILL)
        name = unit.item(variant, setting)
        arrays = {
            "candidate_token": np.array([1, 2], np.int32),
            "candidate_probability": np.array([0.5, 0.25], np.float32),
        }
        item = Item(**asdict(name), arrays=arrays, scalars={})
        yield KIND, item
        yield "unwanted", item


def unit(
    number: int,
    variants: tuple[str, ...] = ("base", "general@1.0"),
    settings: tuple[str, ...] = (UNSTEERED,),
    **arguments: Any,
) -> Unit:
    return Unit(
        key=f"{number:064x}",
        compute=QualifiedName(__name__, "candidates"),
        prompt_hash=f"{number:012x}",
        token_ids=(5, 6, 7),
        variants=variants,
        arguments=arguments,
        outputs=tuple((KIND, variant) for variant in variants),
        settings=settings,
    )


def stored(cache: ItemCache) -> int:
    return len(list((cache.root / KIND).rglob("*.safetensors")))


def test_only_what_is_missing_is_computed_and_a_stop_loses_nothing(tmp_path: Path) -> None:
    cache, log = ItemCache(tmp_path), tmp_path / "log"
    units = [unit(0, log=str(log)), unit(1, log=str(log), stops="general@1.0")]
    with pytest.raises(KeyboardInterrupt):
        in_this_process(units, models, cache, "test")
    assert stored(cache) == 3, "the first unit, and what was finished of the second"
    again = [unit(0, log=str(log)), unit(1, log=str(log))]
    assert [lacks(cache, each) for each in again] == [[], [(KIND, again[1].item("general@1.0"))]]
    assert in_this_process(again, models, cache, "test") == []
    assert [line.split()[1] for line in log.read_text().splitlines()] == [f"{i:012x}" for i in (0, 1, 1)]
    assert stored(cache) == 4
    assert not (tmp_path / "unwanted").exists(), "only what is asked for is kept"
    assert list((tmp_path / "claims").iterdir()) == []


def test_a_failed_prompt_is_told_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = [unit(0), unit(1, fails=True), unit(2)]
    cache, folder = ItemCache(tmp_path / "items"), tmp_path / "artifacts"
    failures = collect(units, [CANDIDATES], folder=folder, provenance={}, models=models, cache=cache)
    (failure,) = failures
    assert (failure.prompt_hash, failure.variants) == (units[1].prompt_hash, units[1].variants)
    assert (failure.layer, failure.position, failure.token) == (1, 2, 7)
    assert failure.reason == "At layer 1, position 2, a logit is NaN."
    assert open_collection(folder / KIND).prompts() == [units[0].prompt_hash, units[2].prompt_hash]
    said = capsys.readouterr().out
    assert "candidates: 4 computed, 0 from the cache" in said
    assert "candidates: 1 of 3 failed; the first: At layer 1" in said


def test_items_of_settings_stand_beside_each_other_and_one_that_fails_takes_none_with_it(
    tmp_path: Path,
) -> None:
    weaker, stronger, failing = (f"{number:064x}" for number in (1, 2, 3))
    units = [
        unit(0, ("base",)),
        replace(unit(1, ("base",), (weaker, stronger)), prompt_hash="0" * 12),
        replace(unit(2, ("base",), (failing,), fails=True), prompt_hash="0" * 12),
    ]
    cache, folder = ItemCache(tmp_path / "items"), tmp_path / "artifacts"
    (failure,) = collect(units, [CANDIDATES], folder=folder, provenance={}, models=models, cache=cache)
    assert failure.settings == (failing,)
    collection = open_collection(folder / KIND)
    assert collection.settings() == [UNSTEERED, weaker, stronger]
    assert collection.variants("0" * 12) == ["base"]
    assert len({item.key for item in collection.items()}) == 3
    # A teammate without a cache takes over what is there, each under its own setting.
    other = ItemCache(tmp_path / "other")
    asked = [replace(units[1], settings=(stronger,))]
    compute(asked, models=nothing, cache=other, folder=folder)
    item = other.get(KIND, asked[0].item("base", stronger).key)
    assert item is not None
    assert item.setting == stronger


def nothing() -> ModelPool:
    raise AssertionError("everything is there")


def test_it_is_an_error_if_all_fail(tmp_path: Path) -> None:
    units = [unit(0, fails=True), unit(1, fails=True)]
    with pytest.raises(UserError, match=r"None of 2 prompts could be computed\. At layer 1"):
        compute(units, models=models, cache=ItemCache(tmp_path))


def test_nothing_to_do_is_no_failure_and_asks_for_no_models(tmp_path: Path) -> None:
    cache = ItemCache(tmp_path)
    assert compute([], models=models, cache=cache) == []
    compute([unit(0)], models=models, cache=cache)
    assert compute([unit(0)], models=nothing, cache=cache) == []


def test_a_damaged_entry_is_computed_again_while_it_is_assembled(tmp_path: Path) -> None:
    cache, folder = ItemCache(tmp_path / "items"), tmp_path / "artifacts"
    compute([unit(0)], models=models, cache=cache)
    for path in cache.root.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])
    collect([unit(0)], [CANDIDATES], folder=folder, provenance={}, models=models, cache=cache)
    assert open_collection(folder / KIND).variants() == ["base", "general@1.0"]


def test_what_the_cache_has_lost_is_no_prompt_that_fails(tmp_path: Path) -> None:
    cache, units = ItemCache(tmp_path), [unit(0, ("base",)), unit(1, ("base",), fails=True)]
    compute(units, models=models, cache=cache)
    (path,) = cache.root.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    whole, failing = (finished(each, KIND, each.item("base"), models, cache) for each in units)
    assert whole[0] is not None
    assert whole[1] == []
    assert failing[0] is None
    assert failing[1][0].reason == "At layer 1, position 2, a logit is NaN."


def _work(root: Path, log: Path, first: int) -> None:
    """What another process does: the same units, in another order."""
    order = [*range(first, 6), *range(first)]
    in_this_process(
        [unit(i, log=str(log), seconds=0.05) for i in order], models, ItemCache(root), f"from {first}"
    )


@pytest.fixture
def processes() -> Any:
    # Forking would carry over torch's threads; a fresh interpreter is what a user starts.
    return multiprocessing.get_context("spawn")


def test_two_executors_at_once_share_the_work(tmp_path: Path, processes: Any) -> None:
    log = tmp_path / "log"
    both = [processes.Process(target=_work, args=(tmp_path / "items", log, first)) for first in (0, 3)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=120)
    assert [process.exitcode for process in both] == [0, 0]
    done = [line.split()[1] for line in log.read_text().splitlines()]
    assert sorted(done) == [f"{i:012x}" for i in range(6)], "each unit once"
    cache = ItemCache(tmp_path / "items")
    assert all(not lacks(cache, unit(i, seconds=0.05)) for i in range(6))
    assert list((cache.root / "claims").iterdir()) == []


def _hold(root: Path, log: Path) -> None:
    in_this_process([unit(0, log=str(log), seconds=60)], models, ItemCache(root), "held")


def test_the_claim_of_a_killed_process_ends_with_it(tmp_path: Path, processes: Any) -> None:
    log, cache = tmp_path / "log", ItemCache(tmp_path / "items")
    holder = processes.Process(target=_hold, args=(cache.root, log))
    holder.start()
    deadline = time.monotonic() + 120
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with claim(cache, unit(0), wait=False) as mine:
        assert not mine, "another process computes it"
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with claim(cache, unit(0), wait=False) as mine:
        assert mine
        assert compute_unit(unit(0), models, cache) == []
    assert stored(cache) == 2


def test_helpers_take_a_part_and_give_the_same_bytes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    units = [unit(i, log=str(log), until=3 if i else 1) for i in range(40)]
    alone, shared = ItemCache(tmp_path / "alone"), ItemCache(tmp_path / "shared")
    in_this_process([unit(i) for i in range(40)], models, alone, "alone")
    assert with_helpers(3, worth=0)(units, models, shared, "shared") == []
    assert len(set(_who(log))) == 3
    assert len(_who(log)) == 40, "each unit once"
    files = {path.relative_to(alone.root): path.read_bytes() for path in alone.root.rglob("*.safetensors")}
    assert len(files) == 80
    assert all((shared.root / path).read_bytes() == content for path, content in files.items())


def test_a_process_keeps_the_models_of_its_last_call() -> None:
    first, same = (ModelSource(manifest=MANIFEST, runtime=RuntimeParams(seed=0, threads=1)) for _ in range(2))
    other = ModelSource(manifest=MANIFEST, runtime=RuntimeParams(seed=1, threads=1))
    assert loaded_once(first) is first
    assert loaded_once(same) is first
    assert loaded_once(other) is other
    assert loaded_once(same) is same, "of one call, and no more: models are large"


def test_no_helper_is_called_for_what_is_soon_done(tmp_path: Path) -> None:
    log = tmp_path / "log"
    units = [unit(i, log=str(log)) for i in range(6)]
    with_helpers(2)(units, models, ItemCache(tmp_path / "items"), "short")
    assert set(_who(log)) == {str(os.getpid())}


def test_a_helper_that_dies_is_not_missed_and_failures_are_told_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    units = [
        unit(
            i,
            log=str(log),
            until=2 if i else 1,
            seconds=0.05,
            fails=i % 5 == 0,
            dies_unless=os.getpid() if i % 5 == 1 else None,
        )
        for i in range(30)
    ]
    cache = ItemCache(tmp_path / "items")
    failures = with_helpers(2, worth=0)(units, models, cache, "dying")
    assert sorted(each.prompt_hash for each in failures) == [f"{i:012x}" for i in range(0, 30, 5)]
    assert len(set(_who(log))) > 1, "one has come, and met what kills it"
    assert stored(cache) == 48


def _share_until_killed(root: Path, log: Path) -> None:
    units = [unit(i, log=str(log), seconds=0.2) for i in range(1000)]
    with_helpers(2, worth=0)(units, models, ItemCache(root), "killed")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGINT])
def test_helpers_end_with_whom_they_help(tmp_path: Path, processes: Any, signum: int) -> None:
    log = tmp_path / "log"
    first = processes.Process(target=_share_until_killed, args=(tmp_path / "items", log))
    first.start()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and len(set(_who(log))) == 2):
        time.sleep(0.05)
    pids = {int(pid) for pid in _who(log)}
    assert len(pids) == 2
    os.kill(first.pid, signum)
    first.join(timeout=60)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(map(_alive, pids)):
        time.sleep(0.05)
    assert not any(map(_alive, pids))
