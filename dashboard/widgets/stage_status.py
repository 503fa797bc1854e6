"""Shows what is stale while `dvc status` runs beside the page."""

from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.data.dvc_status import Status, Watcher, remedy
from dashboard.shell.downloads import downloads
from dashboard.style.text import sentence


@st.cache_resource(show_spinner=False)
def _watcher(root: str) -> Watcher:
    return Watcher(Path(root))


def known(root: Path) -> Status:
    """What is known of the stages now, without waiting."""
    return _watcher(str(root)).last()


def show_status(root: Path, *, brief: bool) -> None:
    """What is stale and the command that mends it; asks again while DVC answers.

    Parameters
    ----------
    root
        Root of the project.
    brief
        One line instead of a table.
    """
    watcher = _watcher(str(root))
    state = watcher.ask().state
    # A fragment that reruns itself only while there is something to wait for.
    every = {"running": 1.0, "busy": 5.0}.get(state)
    st.fragment(_show, run_every=every)(watcher, brief, state)


def _show(watcher: Watcher, brief: bool, awaited: str) -> None:
    status = watcher.ask()
    if awaited in {"running", "busy"} and status.state != awaited:
        # Draw the page again: with the answer, and with a timer that fits it.
        st.rerun()
    if status.state == "running":
        st.caption(f":material/progress_activity: `dvc status` is looking, {status.seconds:.0f} s so far.")
        return
    _answer(status)
    if not brief:
        _stages(status)
        if st.button("Look again", icon=":material/refresh:", key="status-again"):
            watcher.ask(again=True)
            st.rerun()


def _answer(status: Status) -> None:
    match status.state:
        case "fresh":
            st.success("Every stage is up to date.", icon=":material/check_circle:")
        case "stale":
            names = ", ".join(f"`{stage}`" for stage in list(status.stages)[:8])
            more = f" and {len(status.stages) - 8} more" if len(status.stages) > 8 else ""
            st.warning(
                f"{len(status.stages)} stale: {names}{more}. `{remedy(status)}` mends it.",
                icon=":material/update:",
            )
        case "busy":
            st.info(sentence(status.detail), icon=":material/hourglass:")
        case "absent":
            st.caption(sentence(f"No pipeline state: {status.detail}"))
        case _:
            st.warning(sentence(f"`dvc status` failed: {status.detail}"), icon=":material/error:")


def _stages(status: Status) -> None:
    if not status.stages:
        return
    frame = pd.DataFrame(
        [{"stage": stage, "changed": "; ".join(changes)} for stage, changes in status.stages.items()]
    )
    st.dataframe(
        frame,
        hide_index=True,
        key="stale-table",
        column_config={
            "stage": st.column_config.TextColumn("stage", help="Stage of dvc.yaml."),
            "changed": st.column_config.TextColumn(
                "changed", help="What `dvc status` found changed since the stage last ran."
            ),
        },
    )
    downloads(frame, "stale-stages", key="stale")
