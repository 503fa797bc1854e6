"""Processes that share the work of a stage, each with an interpreter, torch and models of its own."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loky import ProcessPoolExecutor

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

    return get_reusable_executor(count, timeout=_IDLE)
