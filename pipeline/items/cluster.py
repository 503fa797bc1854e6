"""Units on Dask's workers: on this machine, or wherever a scheduler has them.

A task is the units of one prompt. What a worker finishes lies in the item cache, which all share; a worker
that dies is not missed, for Dask gives its task to another, who computes the rest of it.
"""

import atexit
import logging
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

from pipeline.items.cache import ItemCache
from pipeline.items.devices import CPU
from pipeline.items.executor import Executor, lacks
from pipeline.items.model_source import Models
from pipeline.items.units import Unit
from pipeline.items.worker import Job, Outcome, installed, told, work
from pipeline.params.runtime import RuntimeParams, Workers
from pipeline.run.progress import Progress, counted
from store.base.errors import StoreError, UserError
from store.documents.failures import Failure

ATTEMPTS: Final = 3
"""Times that a unit is tried, and a scheduler that is lost is looked for."""
_PATIENCE: Final = 30
"""Seconds in which a scheduler answers."""
_numbers = count()


def on_cluster(runtime: RuntimeParams) -> Executor:
    """An executor: workers of `runtime.scheduler` compute, or `runtime.workers` of this machine.

    Where those are a range, there are as many as there is work for; how many `runtime.scheduler` has is
    the matter of who started it.
    """

    def execute(units: Sequence[Unit], models: Models, cache: ItemCache, label: str) -> list[Failure]:
        missing = [unit for unit in units if lacks(cache, unit)]
        if not missing:
            return []
        with counted(len(missing), label) as progress:
            run = _Run(runtime=runtime, models=models, cache=cache, label=label, progress=progress)
            return run.all(missing)

    return execute


def groups(units: Sequence[Unit]) -> list[list[Unit]]:
    """Units of one prompt together, in the order of the first; one that reads no prompt alone."""
    found: dict[str, list[Unit]] = {}
    for unit in units:
        found.setdefault(unit.prompt_hash if unit.token_ids else unit.key, []).append(unit)
    return list(found.values())


class _LostError(Exception):
    """The scheduler went away."""


@dataclass(kw_only=True)
class _Run:
    """Some units on their way."""

    runtime: RuntimeParams
    models: Models
    cache: ItemCache
    label: str
    progress: Progress
    failures: list[Failure] = field(default_factory=list)
    tries: dict[str, int] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    """Keys of units that are computed, or cannot be."""

    def all(self, missing: Sequence[Unit]) -> list[Failure]:
        """Compute them, on another scheduler at the same address if one is lost."""
        for _ in range(ATTEMPTS):
            left = [unit for unit in missing if unit.key not in self.over]
            try:
                client = connected(self.runtime)
                self.progress.page = client.dashboard_link
                # What was at work on workers that died may have killed them: it comes last, one at a
                # time, so that it shows which does.
                for unit in self._through(client, groups(left)):
                    self._through(client, [[unit]], alone=True)
            except _LostError:
                disconnect(self.runtime)
                continue
            return self.failures
        where = self.runtime.scheduler or "this machine"
        raise UserError(
            f"The scheduler at {where} was lost {ATTEMPTS} times; what was computed is kept, run again."
        )

    def _through(self, client: Client, left: list[list[Unit]], *, alone: bool = False) -> list[Unit]:
        """Compute groups, with what fails tried again by itself; gives units whose workers died."""
        asked: dict[Future[Outcome], list[Unit]] = {}
        suspects: list[Unit] = []
        try:
            for group in left:
                asked[self._submit(client, group)] = group
            done = as_completed(asked)
            for future in done:
                group = asked.pop(future)
                try:
                    again = self._settle(_outcome(future), group)
                except KilledWorker as error:
                    again, dangerous = self._lost(group)
                    if alone:
                        again = []
                        where = error.last_worker.address
                        self._give_up(dangerous, f"Workers died while they computed it, the last at {where}")
                    suspects += dangerous
                for unit in again:
                    asked[one := self._submit(client, [unit])] = [unit]
                    done.add(one)
        finally:
            # Who leaves in a hurry wants no more of it; what is finished is in the cache.
            if asked and client.status == "running":
                client.cancel(list(asked))
        return suspects

    def _submit(self, client: Client, group: list[Unit]) -> Future[Outcome]:
        job = Job(
            units=tuple(group),
            models=self.models,
            root=self.cache.root,
            place=self.cache.place,
            installed=installed(),
            device=None if self.runtime.mix else self.runtime.device or CPU,
        )
        # Another name for every try: Dask would give the answer to an earlier one again.
        return client.submit(work, job, key=f"{self.label}-{next(_numbers)}-{group[0].key[:12]}", pure=False)

    def _settle(self, outcome: Outcome, group: list[Unit]) -> list[Unit]:
        """Note what came of a task; gives units that have to be tried again."""
        self.failures += outcome.failures
        unable = {(each.prompt_hash, each.variants, each.settings) for each in outcome.failures}
        again: list[Unit] = []
        for unit in group:
            if (reason := outcome.errors.get(unit.key)) is not None:
                self.tries[unit.key] = self.tries.get(unit.key, 0) + 1
                if self.tries[unit.key] < ATTEMPTS:
                    again.append(unit)
                else:
                    self._give_up([unit], f"It failed {ATTEMPTS} times, the last time by {reason}")
                continue
            if (unit.prompt_hash, unit.variants, unit.settings) not in unable and lacks(
                self.cache, unit, now=True
            ):
                raise UserError(
                    f"A worker wrote what it computed to {self.cache.files}, where this process finds "
                    "nothing; let all workers share the project's folder, and start them in it."
                )
            self._finish([unit])
        return again

    def _lost(self, group: list[Unit]) -> tuple[list[Unit], list[Unit]]:
        """Of a group whose worker died, units to be tried again, and those that have one try left."""
        lost = [unit for unit in group if lacks(self.cache, unit, now=True)]
        self._finish([unit for unit in group if unit not in lost])
        for unit in lost:
            self.tries[unit.key] = self.tries.get(unit.key, 0) + 1
        dangerous = [unit for unit in lost if self.tries[unit.key] >= ATTEMPTS - 1]
        return [unit for unit in lost if unit not in dangerous], dangerous

    def _give_up(self, units: Sequence[Unit], reason: str) -> None:
        self.failures += [_failed(unit, reason) for unit in units]
        self._finish(units)

    def _finish(self, units: Sequence[Unit]) -> None:
        self.over |= {unit.key for unit in units}
        self.progress.failed = len(self.failures)
        self.progress.update(len(units))


def _outcome(future: Future[Outcome]) -> Outcome:
    try:
        outcome: Outcome = future.result()
    except (UserError, StoreError, KilledWorker):
        raise
    except (CancelledError, OSError) as error:
        raise _LostError from error
    except Exception as error:
        raise UserError(
            f"A worker cannot take part ({told(error)}); start workers by `python -m dask worker` in the "
            "project's root, with its environment."
        ) from error
    return outcome


def _failed(unit: Unit, reason: str) -> Failure:
    return Failure(
        prompt_hash=unit.prompt_hash,
        variants=unit.variants,
        settings=unit.settings,
        layer=None,
        position=None,
        token=None,
        reason=reason,
    )


_clients: dict[tuple[str | None, Workers], Client] = {}


def connected(runtime: RuntimeParams) -> Client:
    """A client of the scheduler, or of workers that are started here; kept until the program ends.

    Raises
    ------
    UserError
        No scheduler answers.
    """
    scheduler, workers = place = runtime.scheduler, runtime.workers
    if place in _clients:
        return _clients[place]
    if scheduler is None:
        dask.config.set(
            {
                # Deaths are counted here, by units.
                "distributed.scheduler.allowed-failures": 0,
                # A worker that dies comes again, however long that takes on a busy machine.
                "distributed.deploy.lost-worker-timeout": "1h",
                "distributed.scheduler.worker-ttl": None,
            }
        )
        cluster = LocalCluster(
            n_workers=workers.minimum,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # any port: several runs at once have one each
            memory_limit=0,  # Dask would end a worker whose models are large
            silence_logs=logging.CRITICAL,
        )
        if workers.minimum < workers.maximum:
            cluster.adapt(minimum=workers.minimum, maximum=workers.maximum)
        client = Client(cluster)
    else:
        try:
            client = Client(scheduler, timeout=_PATIENCE)
        except (OSError, ValueError) as error:
            raise UserError(
                f"No scheduler of Dask answers at {scheduler}; start one there by `python -m dask "
                "scheduler`, or set runtime.executor: local."
            ) from error
        if not client.scheduler_info()["workers"]:
            print(f"{scheduler} has no worker yet; the first that comes begins.", flush=True)
        print(f"Dask's own page: {client.dashboard_link}", flush=True)
    _clients[place] = client
    atexit.register(disconnect, runtime)
    return client


def disconnect(runtime: RuntimeParams) -> None:
    """End the client, and workers that were started here; who asks again connects anew."""
    client = _clients.pop((runtime.scheduler, runtime.workers), None)
    if client is not None:
        client.close()
        if client.cluster is not None:
            client.cluster.close()
