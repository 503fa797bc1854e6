"""Processes that share the work of a stage, each with an interpreter, torch and models of its own."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from pipeline.params.runtime import RuntimeParams
from store.base.errors import UserError

if TYPE_CHECKING:
    from loky import ProcessPoolExecutor

Task = TypeVar("Task")
Result = TypeVar("Result")

WIDE: Final = 512
"""Width of the residual stream from which on a product is worth more than one thread."""
_IDLE: Final = 60
"""Seconds after which a process that has nothing to do ends."""


def processes_worth(d_model: int, threads: int) -> int:
    """How many processes make the most of so many threads.

    A wide model spends them inside of its products. Those of a narrow one are so small that
    threads wait for each other longer than they work: it is computed by as many processes of one
    thread each, and what they give has the same bits whoever computes it.
    """
    return 1 if d_model >= WIDE else threads


def workers(count: int) -> "ProcessPoolExecutor":
    """The processes of this one: started at the first call, then used again.

    What they run stands at the top of a module, and sets their threads. Whoever gives up
    before they are done ends them: ``workers(count).shutdown(kill_workers=True)``.
    """
    from loky import get_reusable_executor  # in a function: most that import this need no process

    # A helper that came too late may still be looking for work: another count waits until it is done.
    warnings.filterwarnings("ignore", "Trying to resize an executor with running jobs")
    # What a process has more than when it began is models, and no leak.
    warnings.filterwarnings("ignore", "A worker was restarted while some jobs were given")
    return get_reusable_executor(count, timeout=_IDLE)


def side_by_side(
    function: Callable[[Task], Result], tasks: Sequence[Task], *, d_model: int, runtime: RuntimeParams
) -> list[Result]:
    """A function of every task, in their order, by as many processes as a model of this width is worth.

    Parameters
    ----------
    function
        Stands at the top of a module, or is a `functools.partial` of such a one.
    tasks
        Each is computed by one process, from the seed of `runtime`.

    Raises
    ------
    UserError
        The system ended a process.
    """
    count = min(processes_worth(d_model, runtime.threads), len(tasks))
    if count <= 1:
        return [function(task) for task in tasks]
    from loky.process_executor import TerminatedWorkerError

    pool = workers(count)
    try:
        return list(pool.map(partial(_alone, function, runtime.seed), tasks))
    except TerminatedWorkerError as error:
        raise UserError(
            "The system ended a process, most likely for lack of memory; "
            "runtime.threads: 1 in params.yaml does the same work in one."
        ) from error
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise


def _alone(function: Callable[[Task], Result], seed: int, task: Task) -> Result:
    from pipeline.run.determinism import make_deterministic  # imports torch
    from pipeline.run.memory import keep_freed_memory

    keep_freed_memory()
    make_deterministic(seed, 1)
    return function(task)
