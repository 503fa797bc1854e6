"""Trace a prompt live: once for all who ask, watched while it lasts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from dashboard.data import project
from dashboard.data.case import Case
from dashboard.live import models as live
from dashboard.live.jobs import Job, Progress
from dashboard.live.models import NotLiveError
from dashboard.live.watching import jobs, watch
from pipeline.analysis.dose import dose_of
from pipeline.analysis.dose_prompt import READ, Dose
from store.base.hashing import canonical_json
from store.documents.prompts import Prompt
from store.views.adapter import AdapterView
from store.views.graph import GraphView

if TYPE_CHECKING:
    from pipeline.live import LivePool
    from pipeline.params.graphs import GraphParams

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class _Traced:
    """What a job gives, by variant."""

    graphs: Mapping[str, GraphView]
    adapters: Mapping[str, AdapterView]


def _start(
    what: str,
    profile: str,
    prompt: Prompt,
    arguments: object,
    work: Callable[["LivePool", "GraphParams", Progress], T],
) -> Job[T]:
    """A job on a prompt, named by all that it depends on: begun once for all who ask."""
    models = live.pool(profile)
    graphs = live.params().graphs
    manifest = project.artifact(profile, "models.json")
    key = canonical_json(
        {
            "what": what,
            "models": [str(manifest), project.stamp(manifest)],
            "prompt": [prompt.hash, *prompt.token_ids],
            "arguments": arguments,
            "parameters": graphs.model_dump(),
        }
    )

    def run(progress: Progress) -> T:
        live.use_threads(models.manifest.model.n_parameters)
        return work(models, graphs, progress)

    return jobs().get(key, run)


def traced(profile: str, prompt: Prompt, pair: tuple[str, str]) -> tuple[Case, float]:
    """The case of a prompt as it is traced now, and the seconds that its trace took.

    Raises
    ------
    NotLiveError
        A model cannot be loaded, something in it is not finite, or the memory does not suffice.
    """

    def work(models: "LivePool", graphs: "GraphParams", progress: Progress) -> _Traced:
        from pipeline.live import trace_pair

        items = trace_pair(models, prompt, pair, graphs, progress=progress)
        return _Traced(
            graphs={variant: GraphView(item) for variant, item in items.graphs.items()},
            adapters={variant: AdapterView(item) for variant, item in items.adapters.items()},
        )

    traces, seconds = _finished("pair", profile, prompt, sorted(set(pair)), work)
    case = Case(
        profile=profile, prompt=prompt, pair=pair, graphs=traces.graphs, adapters=traces.adapters, live=True
    )
    return case, seconds


def dosed(profile: str, prompt: Prompt) -> tuple[list[Dose], float]:
    """A prompt at every scale of ``dose.scales``, traced now, and the seconds; errors as `traced`."""
    scales = live.params().dose.scales

    def work(models: "LivePool", graphs: "GraphParams", progress: Progress) -> list[Dose]:
        from pipeline.live import trace_doses

        items = trace_doses(models, prompt, scales, graphs, progress=progress)
        return [
            Dose(variant=variant, arrays={name: item.arrays[name] for name in READ})
            for variant, item in sorted(items.items(), key=lambda pair: dose_of(pair[0]))
        ]

    return _finished("dose", profile, prompt, list(scales), work)


def estimate(profile: str, prompt: Prompt, traces: int) -> str:
    """What tracing will take, like ``about 9 s and 0.4 GB beside the models``; errors as `traced`.

    Parameters
    ----------
    profile, prompt
        What would be traced.
    traces
        How many graphs, an adapted one in the attention mode counting once more.
    """

    def work(models: "LivePool", graphs: "GraphParams", progress: Progress) -> tuple[float, float]:
        from pipeline.live import estimate_one

        found = estimate_one(models, prompt, graphs)
        return found.seconds, found.bytes

    (seconds, n_bytes), _ = _finished("estimate", profile, prompt, None, work)
    # Rows of all graphs of a prompt are there at once.
    return (
        f"about {max(1, round(seconds * traces)):,} s and {max(0.1, n_bytes * traces / 1e9):,.1f} GB "
        "beside the models"
    )


def _finished(
    what: str,
    profile: str,
    prompt: Prompt,
    arguments: object,
    work: Callable[["LivePool", "GraphParams", Progress], T],
) -> tuple[T, float]:
    """What a job gives, waited for, and the seconds that it took; errors as `traced`."""
    with st.spinner("Loading torch", show_time=True):
        job = _start(what, profile, prompt, arguments, work)
    try:
        return watch(job), job.seconds
    except (RuntimeError, MemoryError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise NotLiveError(
            f"The prompt could not be traced ({reason}); the server's log has the details. Shorten it, or "
            "lower `graphs.max_feature_nodes` in params.yaml if the memory does not suffice."
        ) from error
