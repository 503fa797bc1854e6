"""One small random subject for every room that needs a model, made once a session; a service that judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.attribution.trace import Trace
    from pipeline.items.executor import Executor
    from store.documents.manifest import Manifest
    from tests.support.builders import Checkpoint
    from tests.support.judge_server import JudgeServer
    from tests.support.traced_subject import Subject


# torch is imported when a fixture needs it: rooms without a model start at once.
@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Read-only: a test that changes files makes its own."""
    from tests.support.builders import make_checkpoint

    return make_checkpoint(tmp_path_factory.mktemp("subject") / "tiny")


@pytest.fixture(scope="session")
def manifest(checkpoint: Checkpoint) -> Manifest:
    """Of the small subject."""
    return checkpoint.manifest()


@pytest.fixture(scope="session")
def subject(checkpoint: Checkpoint) -> Subject:
    """Its models; read-only: a test that changes weights loads its own."""
    from tests.support.traced_subject import load_subject

    return load_subject(checkpoint)


@pytest.fixture(scope="session")
def traced(subject: Subject) -> Trace:
    """A trace in which every active feature is a node."""
    return subject.trace(subject.general)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    """A service on loopback, and the key that it is asked with."""
    from tests.support.judge_server import judge_server
    from tests.support.judging import KEY

    monkeypatch.setenv("JUDGE_KEY", KEY)
    with judge_server() as served:
        yield served


@pytest.fixture(params=["chat", "responses"])
def api(request: pytest.FixtureRequest) -> str:
    """Which of its two interfaces a service is asked by."""
    return str(request.param)


@pytest.fixture(scope="session")
def dask() -> Iterator[Executor]:
    """Two of Dask's workers, which are started once and load no model before they are given one."""
    from pipeline.items.cluster import disconnect, on_cluster
    from pipeline.params.runtime import RuntimeParams, Workers

    workers = Workers(minimum=2, maximum=2)
    runtime = RuntimeParams(seed=0, threads=1, executor="dask", workers=workers)
    yield on_cluster(runtime)
    disconnect(runtime)
