"""Computations of several seconds in a thread of their own: one at a time, watched while they run.

A page that is left, or drawn anew, finds the same job again: Streamlit ends a script in the
middle whenever somebody clicks, and what it had begun must not be lost with it.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

Progress = Callable[[str, float], None]
"""Called with what is done now, and which share of all steps is behind (0 to 1)."""

KEPT: Final = 8
"""Finished jobs whose results are kept."""

UNWATCHED: Final = 2.0
"""Seconds after which a job that no page waits for makes room for another."""


class _StoppedError(RuntimeError):
    """Raised inside a job that was stopped: nobody waits for it any longer, or somebody asked for that."""

    def __init__(self) -> None:
        super().__init__("it was stopped")


class Job(Generic[T]):
    """One computation, running or done.

    Attributes
    ----------
    said, share
        What it does, and which share of its steps is behind.
    began
        When, on the monotonic clock; seconds.
    seconds
        How long it took; 0 until it is done.
    result
        What it gave; None until it is done, or where it failed.
    error
        What it raised, None where it did not.
    """

    def __init__(self) -> None:
        self.said, self.share = "waiting for another one to end", 0.0
        self.began = self.watched = time.monotonic()
        self.seconds = 0.0
        self.result: T | None = None
        self.error: BaseException | None = None
        self._done = threading.Event()
        self._stop = threading.Event()

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait a little; whether it is done."""
        self.watched = time.monotonic()
        return self._done.wait(seconds)

    def stop(self) -> None:
        """End it at its next step, if it is not done."""
        self._stop.set()

    def run(self, work: Callable[[Progress], T]) -> None:
        """Do the work in this thread."""
        try:
            self._tell("", 0.0)
            began = time.monotonic()
            self.result = work(self._tell)
            self.seconds = time.monotonic() - began
        except BaseException as error:
            self.error = error
            raise
        finally:
            self._done.set()

    def _tell(self, what: str, share: float) -> None:
        if self._stop.is_set():
            raise _StoppedError
        self.said, self.share = what, share


class Jobs(Generic[T]):
    """Jobs by key; one runs, others wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._jobs: OrderedDict[str, Job[T]] = OrderedDict()

    def get(self, key: str, work: Callable[[Progress], T]) -> Job[T]:
        """The job of that key: as it is, or begun now.

        One that failed is begun anew. Jobs that no page has waited for of late are stopped
        where another one begins.
        """
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.error is not None:
                now = time.monotonic()
                for other in self._jobs.values():
                    if not other.done and now - other.watched > UNWATCHED:
                        other.stop()
                job = self._jobs[key] = Job()
                threading.Thread(target=self._run, args=(job, work), daemon=True).start()
            self._jobs.move_to_end(key)
            while len(self._jobs) > KEPT:
                self._jobs.popitem(last=False)
            return job

    def _run(self, job: Job[T], work: Callable[[Progress], T]) -> None:
        with self._turn:
            try:
                job.run(work)
            except _StoppedError:
                pass
            except Exception:
                logging.getLogger(__name__).info("A job failed.", exc_info=True)
