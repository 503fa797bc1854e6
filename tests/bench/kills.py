"""Workers killed at random times, and schedulers: ``python -m tests.bench.kills [KILLS [RESTARTS]]``.

A scheduler and two workers of Dask's compute units that take half a second each, with no models. Meanwhile
workers are killed, and with them a scheduler, which is started again at its address. At the end every item
must be there, the same to the byte as by one process.
"""

import os
import random
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from pipeline.items.cache import ItemCache
from pipeline.items.cluster import on_cluster
from pipeline.items.executor import in_this_process
from pipeline.params.runtime import RuntimeParams
from tests.support.scheduler_programs import SchedulerPrograms
from tests.support.shared_work import files_of, no_models, shared_unit, who_computed

SECONDS = 0.5


def _start(cluster: SchedulerPrograms) -> None:
    cluster.start_scheduler()
    for _ in range(2):
        cluster.start_worker(comes_again=True)


def _disturb(cluster: SchedulerPrograms, log: Path, kills: int, restarts: int, over: threading.Event) -> None:
    """Kill whoever computes, at random times, and everything `restarts` times in between."""
    drawn, done = random.Random(0), 0
    while done < kills and not over.wait(drawn.uniform(0.2, 3.0)):
        begun = who_computed(log)
        if not begun:
            continue
        try:
            os.kill(begun[-1][0], signal.SIGKILL)
        except ProcessLookupError:
            continue
        done += 1
        print(f"\nkilled worker {begun[-1][0]}, number {done}", flush=True)
        if restarts and done % max(1, kills // (restarts + 1)) == 0:
            restarts -= 1
            cluster.end()
            _start(cluster)
            print("\nscheduler started again", flush=True)


def main(kills: int = 20, restarts: int = 2) -> None:
    """Kill, and compare."""
    folder = Path(tempfile.mkdtemp())
    cluster = SchedulerPrograms(folder)
    shared, alone, log = ItemCache(folder / "shared"), ItemCache(folder / "alone"), folder / "log"
    numbers = range(20 * (kills + 1))
    runtime = RuntimeParams(seed=0, threads=1, executor="dask", scheduler=cluster.address)
    over = threading.Event()
    _start(cluster)
    disturbing = threading.Thread(target=_disturb, args=(cluster, log, kills, restarts, over))
    disturbing.start()
    begun = time.monotonic()
    try:
        units = [shared_unit(number, number // 4, log=str(log), seconds=SECONDS) for number in numbers]
        failures = on_cluster(runtime)(units, no_models, shared, "kills")
    finally:
        over.set()
        disturbing.join()
        cluster.end()
    in_this_process([shared_unit(number, number // 4) for number in numbers], no_models, alone, "alone")
    same = files_of(shared) == files_of(alone)
    print(
        f"{len(numbers)} units in {time.monotonic() - begun:.0f} s, begun {len(who_computed(log))} times; "
        f"{len(failures)} failures; bytes are {'the same' if same else 'NOT THE SAME'}."
    )
    if failures or not same:
        sys.exit(1)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
