"""A scheduler that ends while units are under way, and is started again at its address."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.items import cluster
from pipeline.items.cache import ItemCache
from pipeline.items.cluster import disconnect, on_cluster
from pipeline.items.executor import in_this_process, lacks
from pipeline.params.runtime import RuntimeParams
from tests.support.processes import until
from tests.support.scheduler_programs import SchedulerPrograms
from tests.support.shared_work import files_of, no_models, shared_unit, who_computed

BEFORE, UNITS = 2, 8


def test_a_scheduler_that_is_started_again_loses_nothing_and_nothing_is_done_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the worker has in hand it finishes, or it ends and another computes it: both may be."""
    monkeypatch.setattr(cluster, "_PATIENCE", 300)  # a program starts slowly on a busy machine
    shared, alone = ItemCache(tmp_path / "shared"), ItemCache(tmp_path / "alone")
    log, gate = tmp_path / "log", tmp_path / "gate"
    units = [shared_unit(i, log=str(log)) for i in range(UNITS)]
    units[BEFORE].arguments["gate"] = str(gate)
    programs = SchedulerPrograms(tmp_path / "scratch")
    runtime = RuntimeParams(seed=0, threads=1, executor="dask", scheduler=programs.address)
    try:
        lost = programs.start_scheduler()
        programs.start_worker(comes_again=False)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(on_cluster(runtime), units, no_models, shared, "restart")
            try:
                until(lambda: len(who_computed(log)) > BEFORE or done.done())
                finished = [unit for unit in units if not lacks(shared, unit)]
                lost.kill()
                lost.wait()
                gate.touch()
                programs.start_scheduler()
                programs.start_worker(comes_again=False)
                assert done.result(timeout=600) == []
            finally:  # else the pool waits for who waits for a worker
                gate.touch()
                programs.end()
    finally:
        programs.end()
        disconnect(runtime)
    in_this_process([shared_unit(i) for i in range(UNITS)], no_models, alone, "alone")
    assert files_of(shared) == files_of(alone)
    begun = [number for _, number in who_computed(log)]
    assert finished == units[:BEFORE]
    assert begun[: BEFORE + 1] == list(range(BEFORE + 1))
    assert not {*begun[BEFORE + 1 :]} & {*range(BEFORE)}, "what is there is not computed again"
    assert {*begun} == {*range(UNITS)}
    # What a worker had in hand, and at most one unit that was sent to it behind that.
    assert len(begun) <= UNITS + 2
