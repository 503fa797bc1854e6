"""Prompts that are found while a person labels: they wait in the queue as soon as they are on the disk."""

from typing import Final

import streamlit as st

from dashboard.data import discovery, labelling
from dashboard.style.text import count
from dashboard.views.labels.desk import Desk

_SECONDS: Final = 5.0
"""From one look at the disk to the next, where something may arrive."""


def show(name: str, desk: Desk, *, waits: bool) -> None:
    """Say how many there are, and go on saying it while they arrive.

    Parameters
    ----------
    desk
        What the page has drawn.
    waits
        Whether it had nothing left to label: the page is drawn anew once something arrives.
    """
    runs = discovery.runs(name)
    # A fragment that reruns itself only where something may come; its line stands there from the start.
    every = _SECONDS if runs or waits else None
    st.fragment(_show, run_every=every)(name, frozenset(desk.own), runs, waits)


def _show(name: str, drawn: frozenset[str], ran: bool, waits: bool) -> None:
    new = labelling.arrived(name)
    if waits and new.keys() - drawn:
        st.rerun()
    runs = discovery.runs(name)
    if not (new or runs or ran):
        return
    many = {0: "No prompt was", 1: "1 prompt was"}.get(len(new), f"{count(len(new))} prompts were")
    st.caption(
        (":material/progress_activity: Prompts are being found. " if runs else "")
        + f"{many} found since the last run of the pipeline.",
        help="They can be labelled at once, and are drawn like the others; what their judges said is shown "
        "after your labels are final. `dvc repro` traces them, and until then no other page has them.",
    )
