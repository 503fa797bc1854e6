"""Trace a typed prompt live: once for all who ask, watched while it lasts."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import streamlit as st

from dashboard.data import project
from dashboard.data.case import Case
from dashboard.live import models as live
from dashboard.live.jobs import Job, Jobs, Progress
from dashboard.live.models import NotLiveError
from dashboard.style.text import plain
from store.base.hashing import canonical_json
from store.documents.prompts import Prompt
from store.views.adapter import AdapterView
from store.views.graph import GraphView

T = TypeVar("T")

PATIENCE: Final = 0.3
"""Seconds before a person is told what they wait for."""

_STEP: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class _Traced:
    """What a job gives, by variant."""

    graphs: Mapping[str, GraphView]
    adapters: Mapping[str, AdapterView]


@st.cache_resource
def _jobs() -> Jobs[_Traced]:
    return Jobs()


def _start(profile: str, prompt: Prompt, pair: tuple[str, str]) -> Job[_Traced]:
    models = live.pool(profile)
    graphs = live.params().graphs
    manifest = project.artifact(profile, "models.json")
    key = canonical_json(
        {
            "models": [str(manifest), project.stamp(manifest)],
            "prompt": [prompt.hash, *prompt.token_ids],
            "pair": sorted(set(pair)),
            "parameters": graphs.model_dump(),
        }
    )

    def work(progress: Progress) -> _Traced:
        from pipeline.live import trace_pair

        live.use_threads(models.manifest.model.n_parameters)
        items = trace_pair(models, prompt, pair, graphs, progress=progress)
        return _Traced(
            graphs={variant: GraphView(item) for variant, item in items.graphs.items()},
            adapters={variant: AdapterView(item) for variant, item in items.adapters.items()},
        )

    return _jobs().get(key, work)


def _watch(job: Job[T]) -> T:
    """Wait for a job's result, and say meanwhile what happens."""
    slot = st.empty()
    while not job.wait(_STEP):
        seconds = time.monotonic() - job.began
        if seconds > PATIENCE:
            what = plain(job.said[:1].upper() + job.said[1:] or "Starting")
            slot.progress(job.share, text=f"{what}: {job.share:.0%} of the steps, {seconds:.0f} s")
    slot.empty()
    if job.error is not None:
        with live.explained():
            raise job.error
    assert job.result is not None, "a job that is done has failed or gives something"
    return job.result


def traced(profile: str, prompt: Prompt, pair: tuple[str, str]) -> tuple[Case, float]:
    """The case of a prompt that is not in the store, and the seconds that its trace took.

    Raises
    ------
    NotLiveError
        A model cannot be loaded, something in it is not finite, or the memory does not suffice.
    """
    with st.spinner("Loading torch", show_time=True):
        job = _start(profile, prompt, pair)
    try:
        traces = _watch(job)
    except (RuntimeError, MemoryError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise NotLiveError(
            f"The prompt could not be traced ({reason}); the server's log has the details. Shorten it, or "
            "lower `graphs.max_feature_nodes` in params.yaml if the memory does not suffice."
        ) from error
    case = Case(
        profile=profile, prompt=prompt, pair=pair, graphs=traces.graphs, adapters=traces.adapters, live=True
    )
    return case, job.seconds
