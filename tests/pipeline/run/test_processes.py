"""Work side by side: in order, with one thread each, and a sentence where a process is lost."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from pipeline.params.runtime import RuntimeParams
from pipeline.run.processes import WIDE, processes_worth, side_by_side, workers
from store.base.errors import UserError
from tests.support.places import ROOT

TWO = RuntimeParams(seed=3, threads=2)


def test_only_narrow_models_are_worth_more_than_one_process() -> None:
    assert [processes_worth(width, 4) for width in (64, WIDE - 1, WIDE, 4096)] == [4, 4, 1, 1]


def told(task: int) -> tuple[int, int, float, int]:
    return task, torch.get_num_threads(), float(torch.rand(1)), os.getpid()


def test_results_come_in_order_each_from_the_seed_and_one_thread() -> None:
    found = side_by_side(told, range(6), d_model=64, runtime=TWO)
    assert [task for task, *_ in found] == list(range(6))
    assert {threads for _, threads, _, _ in found} == {1}
    assert len({draw for _, _, draw, _ in found}) == 1, "whoever computes, and whatever came before"
    assert os.getpid() not in {pid for *_, pid in found}


def test_one_process_is_the_own() -> None:
    for d_model, threads in ((64, 1), (WIDE, 2)):
        ((_, _, _, pid),) = side_by_side(
            told, [0], d_model=d_model, runtime=RuntimeParams(seed=0, threads=threads)
        )
        assert pid == os.getpid()


def lost(task: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_the_system_ends_is_told_with_the_way_out() -> None:
    with pytest.raises(UserError, match=r"lack of memory; runtime\.threads: 1 in params\.yaml"):
        side_by_side(lost, [0, 1], d_model=64, runtime=TWO)
    assert len(side_by_side(told, [0, 1], d_model=64, runtime=TWO)) == 2, "others come in their place"


def test_more_processes_than_before_wait_for_what_still_runs_and_say_nothing() -> None:
    late = workers(1).submit(time.sleep, 0.5)
    assert len(side_by_side(told, range(2), d_model=64, runtime=TWO)) == 2, "a warning is an error here"
    assert late.done()


def refused(task: int) -> None:
    raise UserError("There is no such text.")


def test_what_a_task_refuses_is_told_as_it_says() -> None:
    with pytest.raises(UserError, match="There is no such text"):
        side_by_side(refused, [0, 1], d_model=64, runtime=TWO)


REUSE = """
import resource
import numpy as np
from pipeline.run.memory import keep_freed_memory
{call}
np.ones(2**21)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(2**21)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_memory_is_used_again() -> None:
    def faults(call: str) -> int:
        command = [sys.executable, "-c", REUSE.format(call=call)]
        return int(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)

    # Page faults of 16 MB that are mapped eight times, by pages or by huge ones.
    assert faults("keep_freed_memory()") < faults("") / 2
