"""Jobs of all pages and sessions, and how a page waits for one."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import streamlit as st

from dashboard.live import models as live
from dashboard.live.jobs import Job, Jobs
from dashboard.style.text import plain

T = TypeVar("T")

PATIENCE: Final = 0.3
"""Seconds before a person is told what they wait for."""

_STEP: Final = 0.1


@st.cache_resource
def jobs() -> Jobs[Any]:
    """The jobs of this server."""
    return Jobs()


def watch(job: Job[T], *, on_stop: Callable[[], None] | None = None) -> T:
    """Wait for a job's result, and say meanwhile what happens.

    Parameters
    ----------
    job
        As `jobs` gives it.
    on_stop
        Offers to stop it: called once it was asked to end at its next step, before the page is drawn anew.
        The page is not to ask for it again by itself.

    Raises
    ------
    NotLiveError
        In place of `store.base.errors.UserError` and `ImportError` that the job raised; else what it raised.
    """
    slot = st.empty()
    button = st.empty() if on_stop is not None else None
    offered = False
    while not job.wait(_STEP):
        seconds = time.monotonic() - job.began
        if seconds > PATIENCE:
            what = plain(job.said[:1].upper() + job.said[1:] or "Starting")
            slot.progress(job.share, text=f"{what}: {job.share:.0%} of the steps, {seconds:.0f} s")
            if button is not None and on_stop is not None and not offered:
                offered = True
                button.button(
                    "Stop", icon=":material/stop:", key="stop-job", on_click=_stop, args=(job, on_stop)
                )
    slot.empty()
    if button is not None:
        button.empty()
    if job.error is not None:
        with live.explained():
            raise job.error
    assert job.result is not None, "a job that is done has failed or gives something"
    return job.result


def _stop(job: Job[Any], on_stop: Callable[[], None]) -> None:
    job.stop()
    on_stop()
