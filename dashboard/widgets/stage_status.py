"""Shows what is stale while `dvc status` runs beside the page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pandas as pd
import streamlit as st

from dashboard.data import project
from dashboard.data.dvc_answer import Status, caching, remedy
from dashboard.data.dvc_status import Watcher
from dashboard.data.lineage import CODE
from dashboard.shell.downloads import downloads
from dashboard.style.text import sentence

_NAMED: Final = 8
"""So many stages are named."""


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
    if (place := project.place()) is not None:
        st.caption(
            f"Artifacts are read from `{place}` as they were pushed; whether they are up to date is "
            "known where they were computed."
        )
        return
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
        case "uncached":
            st.success(
                "Every stage is up to date: its outputs are here as they were computed.",
                icon=":material/check_circle:",
            )
            _uncached(status)
        case "stale":
            st.warning(
                f"{len(status.stages)} stale: {_names(status.stages)}. `{remedy(status)}` mends it."
                + _code(status),
                icon=":material/update:",
            )
            if status.uncached:
                _uncached(status)
        case "busy":
            st.info(sentence(status.detail), icon=":material/hourglass:")
        case "absent":
            st.caption(sentence(f"No pipeline state: {status.detail}"))
        case _:
            st.warning(sentence(f"`dvc status` failed: {status.detail}"), icon=":material/error:")


def _code(status: Status) -> str:
    """What it means that code has changed: only stage `code` knows whom that concerns."""
    if not any(stage.split("@")[0] == CODE for stage in status.stages):
        return ""
    return " Code has changed; stages that import what changed run with it, and no others."


def _names(stages: Iterable[str]) -> str:
    """Stages as code, the first few and how many more."""
    names = [f"`{stage}`" for stage in stages]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _uncached(status: Status) -> None:
    """What it means that DVC's cache lacks outputs that are here; nothing is wrong with them."""
    n = len(status.uncached)
    st.info(
        f"Only DVC's cache lacks the outputs of {n} {'stage' if n == 1 else 'stages'}, as where this folder "
        f"was handed over: {_names(status.uncached)}. Pages need nothing more, but `dvc push` cannot send "
        f"them and `dvc repro` would make them anew. `{caching(status)}` puts them into the cache; nothing "
        "is computed.",
        icon=":material/inventory_2:",
    )


def _stages(status: Status) -> None:
    changed = {stage: "; ".join(changes) for stage, changes in status.stages.items()}
    changed |= dict.fromkeys(status.uncached, "nothing: its outputs are here, but not in DVC's cache")
    if not changed:
        return
    frame = pd.DataFrame(list(changed.items()), columns=["stage", "changed"])
    st.dataframe(
        frame,
        hide_index=True,
        key="stale-table",
        column_config={
            "stage": st.column_config.TextColumn("stage", help="Stage of dvc.yaml."),
            "changed": st.column_config.TextColumn(
                "changed", help="What DVC found changed since the stage last ran."
            ),
        },
    )
    downloads(frame, "stale-stages", key="stale")
