"""Who computes a subject's units, as ``runtime.executor`` or the environment says. No bit depends on it."""

import os
import re
from collections.abc import Mapping
from typing import Final, get_args

from pydantic import ValidationError

from pipeline.items.devices import CPU, device_class
from pipeline.items.executor import WORTH_HELP, Executor, with_helpers
from pipeline.items.model_source import ModelSource
from pipeline.params.runtime import ExecutorName, RuntimeParams, Workers
from store.base.errors import UserError

VARIABLE: Final = "EMC_EXECUTOR"
"""Names an executor, or a scheduler by its address; goes before ``params.yaml`` and makes no stage stale."""

WORKERS: Final = "EMC_WORKERS"
"""How many workers, a number or a range (1-8); goes before ``runtime.workers``, and makes no stage stale."""


def resolved(runtime: RuntimeParams, environ: Mapping[str, str] = os.environ) -> RuntimeParams:
    """The same with the executor and workers that the environment names, and with the class of device in it.

    Results are of `runtime.device`, else of this machine's device; mixed ones are of none. The CPU is not
    named.

    Raises
    ------
    UserError
        The environment names no executor, or no number of workers.
    """
    changes: dict[str, object] = {}
    said = environ.get(VARIABLE, "").strip()
    if "://" in said:
        changes |= {"executor": "dask", "scheduler": said}
    elif said in get_args(ExecutorName):
        changes["executor"] = said
    elif said:
        raise UserError(
            f"{VARIABLE} is '{said}' in the environment, but who computes is "
            f"{', '.join(get_args(ExecutorName))}, or the address of Dask's scheduler (tcp://host:8786)."
        )
    if (number := environ.get(WORKERS, "").strip()) != "":
        changes["workers"] = _workers(number)
    device = None if runtime.mix else runtime.device or device_class()
    return runtime.model_copy(update={**changes, "device": None if device == CPU else device})


def _workers(said: str) -> Workers:
    numbers = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", said)
    try:
        if numbers is not None:
            return Workers(minimum=int(numbers[1]), maximum=int(numbers[2] or numbers[1]))
    except ValidationError:
        pass
    raise UserError(
        f"{WORKERS} is '{said}' in the environment, but it is a number of workers from 1 to 1024, or a range "
        "of such numbers, for example 1-8."
    )


def executor_of(source: ModelSource, rounds: int = 1) -> Executor:
    """Who computes units with these models; Dask is imported only where it is asked for.

    Of one that will be called in so many rounds, with as much to do in each, the helpers start but once.
    """
    runtime = source.runtime
    if runtime.executor == "dask":
        from pipeline.items.cluster import on_cluster

        return on_cluster(runtime)
    if runtime.executor == "processes":
        return with_helpers(runtime.workers.maximum, worth=0)
    return with_helpers(source.processes, worth=WORTH_HELP / rounds)
