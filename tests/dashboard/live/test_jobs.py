"""Jobs: the same one for all who ask, one at a time, and none outlives its use."""

import threading
import time
from collections.abc import Callable

import pytest

from dashboard.live import watching
from dashboard.live.jobs import KEPT, UNWATCHED, Job, Jobs

Progress = Callable[[str, float], None]


def finished(job: Job) -> Job:
    assert job.wait(10)
    return job


def test_the_same_key_is_the_same_job() -> None:
    jobs, ran = Jobs(), []
    one = jobs.get("a", lambda progress: ran.append(1) or "result")
    assert finished(one).result == "result"
    assert jobs.get("a", lambda progress: ran.append(2)) is one
    assert ran == [1]
    assert one.error is None


def test_one_at_a_time_and_told_of() -> None:
    jobs, at_once, most = Jobs(), [0], [0]
    go = threading.Event()

    def work(progress: Progress) -> None:
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        progress("working", 0.5)
        go.wait(10)
        at_once[0] -= 1

    found = [jobs.get(name, work) for name in "abc"]
    while not any(job.said == "working" for job in found):
        time.sleep(0.01)
    assert sorted(job.share for job in found) == [0.0, 0.0, 0.5]
    assert "waiting" in min(found, key=lambda job: job.share).said
    go.set()
    for job in found:
        finished(job)
    assert most == [1]


def test_what_failed_is_begun_anew() -> None:
    jobs = Jobs()

    def fail(progress: Progress) -> None:
        raise ValueError("no")

    failed = finished(jobs.get("a", fail))
    assert isinstance(failed.error, ValueError)
    again = finished(jobs.get("a", lambda progress: 3))
    assert again is not failed
    assert again.result == 3


def test_a_job_that_nobody_waits_for_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, go, steps = Jobs(), threading.Event(), []

    def long(progress: Progress) -> None:
        progress("first", 0.1)
        go.wait(10)
        steps.append(1)
        progress("second", 0.2)
        steps.append(2)

    left = jobs.get("left", long)
    while left.said != "first":
        time.sleep(0.01)
    left.watched -= 2 * UNWATCHED
    other = jobs.get("other", lambda progress: "done")
    go.set()
    assert finished(other).result == "done"
    assert steps == [1]
    assert left.error is not None


def test_a_job_that_is_waited_for_goes_on() -> None:
    jobs, go = Jobs(), threading.Event()

    def long(progress: Progress) -> str:
        progress("first", 0.1)
        go.wait(10)
        progress("second", 0.2)
        return "whole"

    mine = jobs.get("mine", long)
    mine.wait(0.01)
    other = jobs.get("other", lambda progress: "done")
    go.set()
    assert finished(mine).result == "whole"
    assert finished(other).result == "done"


def test_few_results_are_kept() -> None:
    jobs = Jobs()
    first = finished(jobs.get("0", lambda progress: 0))
    for number in range(1, KEPT + 1):
        finished(jobs.get(str(number), lambda progress: 0))
    assert jobs.get("0", lambda progress: 1) is not first


class _Slot:
    """Stands in for Streamlit's place on the page."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str]] = []

    def progress(self, share: float, text: str) -> None:
        self.told.append((share, text))

    def empty(self) -> None:
        self.told.append((1.0, ""))


@pytest.mark.parametrize(("seconds", "told"), [(0.0, False), (1.0, True)])
def test_a_wait_is_told_of_once_it_is_one(
    monkeypatch: pytest.MonkeyPatch, seconds: float, told: bool
) -> None:
    slot = _Slot()
    monkeypatch.setattr(watching.st, "empty", lambda: slot)

    def work(progress: Progress) -> str:
        progress("tracing base", 0.25)
        time.sleep(seconds)
        return "graphs"

    assert watching.watch(Jobs().get("a", work)) == "graphs"
    *waiting, last = slot.told
    assert last == (1.0, ""), "nothing stays on the page"
    assert bool(waiting) == told
    for share, text in waiting:
        assert share == 0.25
        assert text.replace("\\", "").startswith("Tracing base: 25% of the steps, ")
        assert text.endswith(" s")


def test_a_job_is_stopped_at_its_next_step_and_begun_anew_when_asked_again() -> None:
    jobs: Jobs[str] = Jobs()
    asked: list[str] = []
    begun, stopped = threading.Event(), threading.Event()

    def work(progress: Progress) -> str:
        progress("loading", 0.0)
        begun.set()
        assert stopped.wait(10)
        progress("reading", 0.5)
        return "read to the end"

    job = jobs.get("a", work)
    assert begun.wait(10)
    watching._stop(job, lambda: asked.append("no more"))
    stopped.set()
    assert job.wait(10)
    assert asked == ["no more"]
    with pytest.raises(RuntimeError, match="it was stopped"):
        watching.watch(job)
    again = jobs.get("a", work)
    assert again is not job
    assert watching.watch(again) == "read to the end"
