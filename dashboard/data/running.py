"""What stages are at while they run, as their processes have it on the disk now."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

import streamlit as st

from dashboard.data.project import root
from store.base.running import Running, ended, read_running

State = Literal["runs", "ended", "silent"]
"""It runs; it was ended before it was done; or nothing was heard of it for long, and why is not known."""

SILENT: Final = 60.0
"""Seconds without a word after which a process may be gone; those that live say something every two."""


class Stage(NamedTuple):
    """A stage that was begun and has not come to its end, and for how many seconds it has said nothing."""

    running: Running
    state: State
    quiet: float


@dataclass
class Listener:
    """Tells who lives by what is heard: also where another machine's clock is off.

    A process that says something new between two looks lives, whatever its clock; for the first look there is
    only the clock.
    """

    _heard: dict[tuple[str, int], tuple[Running, float]] = field(default_factory=dict)
    """By host and process: what it said last, and when that was new here."""

    def look(self, folder: Path, now: float, clock: float) -> list[Stage]:
        """Stages of a project, those that run first.

        Parameters
        ----------
        folder
            Root of the project.
        now, clock
            Seconds since 1970, and by a clock that nobody sets.
        """
        before, heard_now = self._heard, {}  # sessions look at once
        stages = []
        for one in read_running(folder):
            who = one.host, one.process
            said, heard = before.get(who, (one, clock - abs(now - one.told)))
            if said != one:
                heard = clock
            heard_now[who] = one, heard
            quiet = max(clock - heard, 0.0)
            state: State = "ended" if ended(one) else "silent" if quiet > SILENT else "runs"
            stages.append(Stage(one, state, quiet))
        self._heard = heard_now
        return sorted(stages, key=lambda stage: stage.state != "runs")


@st.cache_resource(show_spinner=False)
def _listener(folder: str) -> Listener:
    return Listener()


def stages() -> list[Stage]:
    """Stages of this project, those that run first."""
    folder = root()
    return _listener(str(folder)).look(folder, time.time(), time.monotonic())


class Pace(NamedTuple):
    """Units a second so far, and seconds that those which are left take at that pace; None: not known yet."""

    rate: float | None
    left: float | None


def pace(one: Running) -> Pace:
    """How fast units come to be over."""
    if not one.done or one.counted <= 0:
        return Pace(None, None)
    rate = one.done / one.counted
    return Pace(rate, max(one.total - one.done, 0) / rate)
