"""Units on Dask's workers: the same bytes as by one process, whoever dies."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dask import config as dask_config

from pipeline.items import cluster, worker
from pipeline.items.cache import ItemCache
from pipeline.items.cluster import ATTEMPTS, connected, disconnect, groups, on_cluster
from pipeline.items.collect import compute
from pipeline.items.executor import Executor, in_this_process, lacks, with_helpers
from pipeline.items.worker import Job, installed, refusal
from pipeline.params.runtime import RuntimeParams, Workers
from pipeline.run.progress import announced
from store.base.errors import UserError
from tests.support.processes import heard
from tests.support.shared_work import files_of, no_models, shared_unit, who_computed


def test_bytes_are_the_same_whoever_computes_and_a_prompt_stays_together(
    tmp_path: Path, dask: Executor
) -> None:
    log = tmp_path / "log"
    alone, helped, shared = (ItemCache(tmp_path / name) for name in ("alone", "helped", "shared"))
    in_this_process([shared_unit(i, i // 3) for i in range(24)], no_models, alone, "alone")
    with_helpers(2, worth=0)([shared_unit(i, i // 3) for i in range(24)], no_models, helped, "helped")
    units = [shared_unit(i, i // 3, log=str(log), seconds=0.05) for i in range(24)]
    assert dask(units, no_models, shared, "shared") == []
    assert files_of(shared) == files_of(helped) == files_of(alone)
    assert len(files_of(alone)) == 48
    told = who_computed(log)
    assert sorted(number for _, number in told) == list(range(24)), "each unit once"
    assert len({pid for pid, _ in told}) == 2
    assert os.getpid() not in {pid for pid, _ in told}
    assert all(len({pid for pid, number in told if number // 3 == prompt}) == 1 for prompt in range(8))
    assert dask(units, no_models, shared, "again") == []
    assert len(who_computed(log)) == 24, "what is there is not asked for"


def test_what_fails_is_tried_three_times_and_stored_as_failed(
    tmp_path: Path, dask: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    log, cache = tmp_path / "log", ItemCache(tmp_path / "items")
    units = [shared_unit(i, 0, log=str(log), unable=i == 1, broken=i == 2) for i in range(4)]
    failures = compute(units, models=no_models, cache=cache, executor=dask)
    reasons = {failure.reason: failure for failure in failures}
    unable = reasons.pop("At layer 1, position 2, a logit is NaN.")
    assert (unable.layer, unable.position, unable.token) == (1, 2, 7)
    assert list(reasons) == ["It failed 3 times, the last time by ZeroDivisionError: division by zero"]
    done = [number for _, number in who_computed(log)]
    assert [done.count(number) for number in range(4)] == [1, 1, ATTEMPTS, 1]
    assert [bool(lacks(cache, unit)) for unit in units] == [False, True, True, False]


def test_a_unit_that_kills_its_workers_takes_no_other_with_it(tmp_path: Path, dask: Executor) -> None:
    log, cache, alone = tmp_path / "log", ItemCache(tmp_path / "items"), ItemCache(tmp_path / "alone")
    units = [shared_unit(i, log=str(log), seconds=0.05, dies=i == 3) for i in range(12)]
    (failure,) = dask(units, no_models, cache, "deadly")
    assert failure.prompt_hash == units[3].prompt_hash
    assert failure.reason.startswith("Workers died while they computed it, the last at tcp://")
    assert [number for _, number in who_computed(log)].count(3) == ATTEMPTS
    in_this_process([shared_unit(i) for i in range(12) if i != 3], no_models, alone, "alone")
    assert files_of(cache) == files_of(alone)


def test_workers_come_with_the_work_and_go_with_it_and_their_page_is_told(tmp_path: Path) -> None:
    """Units wait until there is a second worker; a limit ends that, and then there was none."""
    workers = Workers(minimum=1, maximum=2)
    runtime = RuntimeParams(seed=0, threads=1, executor="dask", workers=workers)
    with dask_config.set({"distributed.adaptive.interval": "100ms"}):  # from one look to the next
        client, gate = connected(runtime), tmp_path / "gate"

    def becomes(count: int) -> bool:
        deadline = time.monotonic() + 240
        while (found := len(client.scheduler_info()["workers"])) != count and time.monotonic() < deadline:
            time.sleep(0.1)
        return found == count

    def watch() -> tuple[bool, str]:
        """Whether there is a second worker, and the page that Overview links."""
        try:
            return becomes(2), heard(tmp_path, lambda one: bool(one.page)).page
        finally:
            gate.touch()

    try:
        assert becomes(1)
        with announced("graphs", "organism", tmp_path), ThreadPoolExecutor(1) as pool:
            watching = pool.submit(watch)
            units = [shared_unit(i, gate=str(gate)) for i in range(24)]
            assert on_cluster(runtime)(units, no_models, ItemCache(tmp_path / "items"), "many") == []
            assert watching.result() == (True, client.dashboard_link), "more work than one has time for"
        assert becomes(1), "nothing is left to be done"
    finally:
        disconnect(runtime)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"wrong": True}, "The weights do not fit."),
        ({"full": True}, "is full; free some space and run again, what was finished is kept."),
    ],
)
def test_what_is_no_matter_of_one_prompt_ends_the_run_in_one_sentence(
    tmp_path: Path, dask: Executor, how: dict[str, bool], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        dask([shared_unit(0, **how)], no_models, ItemCache(tmp_path), "wrong")


def test_a_scheduler_that_is_not_there_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_PATIENCE", 0.1)
    nowhere = RuntimeParams(seed=0, threads=1, executor="dask", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"No scheduler of Dask answers at tcp://127\.0\.0\.1:9; start one"):
        on_cluster(nowhere)([shared_unit(0)], no_models, ItemCache(tmp_path), "nowhere")
    assert on_cluster(nowhere)([], no_models, ItemCache(tmp_path), "nothing") == [], (
        "who asks nothing needs none"
    )


def job(**changes: Any) -> Job:
    given = {
        "units": (shared_unit(0),),
        "models": no_models,
        "root": Path("items"),
        "installed": installed(),
        "device": "cpu",
    }
    return Job(**(given | changes))


def test_a_worker_that_is_the_same_is_taken() -> None:
    assert refusal(job()) is None


@pytest.mark.parametrize(
    ("changes", "threads", "message"),
    [
        ({"code": "0" * 64}, 1, "another version of this project's code; start it again"),
        ({"libraries": {**installed().libraries, "torch": "0.1"}}, 1, "where the pipeline has 0.1; start it"),
        ({"python": "3.0"}, 1, "has python "),
        ({}, 2, "has 2 threads, but models serve one at a time; start it with --nthreads 1"),
    ],
)
def test_a_worker_that_differs_is_refused(changes: dict[str, Any], threads: int, message: str) -> None:
    why = refusal(job(installed=installed()._replace(**changes)), threads)
    assert why is not None
    assert message in why


def test_results_of_another_class_of_device_are_mixed_only_if_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "device_class", lambda: "NVIDIA H200")
    why = refusal(job(device="cpu"))
    assert why is not None
    assert "computes on 'NVIDIA H200', but results of 'cpu' are asked for" in why
    assert refusal(job(device="NVIDIA H200")) is None
    assert refusal(job(device=None)) is None


def test_units_of_a_prompt_are_one_task_and_those_without_a_prompt_their_own() -> None:
    units = [shared_unit(0, 7), shared_unit(1, 8), shared_unit(2, 7)]
    free = [replace(shared_unit(number, 7), token_ids=()) for number in (3, 4)]
    assert groups([*units, *free]) == [[units[0], units[2]], [units[1]], [free[0]], [free[1]]]
