"""Which stages run now, and how far they are; drawn again by itself while they do."""

import time
from typing import Final
from urllib.parse import quote

import streamlit as st

from dashboard.data.running import Stage, pace, stages
from dashboard.style.text import count, number, plain

_EVERY: Final = 2.0
"""Seconds from one look at the disk to the next, while a stage runs."""
_BETWEEN: Final = 30.0
"""Seconds for which the next stage is waited for, since one begins as another ends."""
_ICONS: Final = {
    "runs": ":material/progress_activity:",
    "ended": ":material/cancel:",
    "silent": ":material/help:",
}
_SEEN: Final = "running-seen"
"""Of the session: when a stage was last seen that runs."""


def show_running() -> None:
    """Say what runs, and go on saying it; nothing where no stage runs, or was ended before it was done."""
    found = stages()
    if not found:
        return
    # What is silent may only have another clock: the next look tells.
    lives = any(stage.state != "ended" for stage in found)
    if lives:
        st.session_state[_SEEN] = time.monotonic()
    # A fragment that reruns itself only while there is something to see.
    st.fragment(_show, run_every=_EVERY if lives else None)(lives)


def _show(awaited: bool) -> None:
    found, now = stages(), time.monotonic()
    if any(stage.state == "runs" for stage in found):
        st.session_state[_SEEN] = now
    elif awaited and now - st.session_state[_SEEN] > _BETWEEN:
        st.rerun()  # with what was made, and without a timer
    for stage in found:
        _one(stage)
    if not found:
        # In the place of what has ended, so that nothing below moves until the page is drawn anew.
        st.markdown(
            f":material/check: No stage runs any more.  \nIf none follows within {_BETWEEN:.0f} s, the page "
            "shows what was made."
        )
        st.progress(1.0)


def _one(stage: Stage) -> None:
    one = stage.running
    st.markdown(  # in a caption the link would be too faint
        f"{_ICONS[stage.state]} `{one.stage}` of {plain(one.profile)} {_state(stage)}  \n{_counted(stage)}",
        help="What the process that runs the stage says of itself, every two seconds: process "
        f"{one.process} on {plain(one.host)}. A unit is what is computed at once, for example the graphs of "
        "one prompt; those that the item cache has are not counted. The rate is units that are over by time "
        "since the first was begun, and what is left is reckoned by it.",
    )
    st.progress(min(one.done / one.total, 1.0) if one.total else 0.0)


def _state(stage: Stage) -> str:
    one = stage.running
    match stage.state:
        case "runs":
            return f"runs, for {_time(one.seconds)} so far."
        case "ended":
            return (
                f"was ended after {_time(one.seconds)}, before it was done. What was finished is kept: "
                "`dvc repro` goes on."
            )
        case "silent":
            return (
                f"has said nothing for {_time(stage.quiet)}: {plain(one.host)} may be gone, or cut off from "
                "this folder."
            )


def _counted(stage: Stage) -> str:
    """How far it is, in one line; there is always one, so that nothing moves as counting begins."""
    one = stage.running
    if not one.total:
        return "No units are counted now."
    units = plain(one.units[:1].upper() + one.units[1:])
    said = f"{units}: {count(one.done)} of {count(one.total)} units are over"
    if one.failed:
        said += f", {count(one.failed)} of them failed"
    if stage.state != "runs":
        return f"{said}."
    rate, left = pace(one)
    if rate is not None and left is not None:
        said += f", {_rate(rate)}, some {_time(left)} left"
    if one.page.startswith(("http://", "https://")):
        said += f". [Dask's own page]({quote(one.page, safe=':/?=&%')})"
    return f"{said}."


def _rate(rate: float) -> str:
    return f"{number(rate)} a second" if rate >= 1 else f"{number(60 * rate)} a minute"


def _time(seconds: float) -> str:
    """A duration in the two largest units.

    >>> _time(7.2), _time(200), _time(7300)
    ('7 s', '3 min 20 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
