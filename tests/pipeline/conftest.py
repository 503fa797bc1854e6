"""One small random subject for every room that needs a model, made once a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pipeline.attribution.trace import Trace
    from store.documents.manifest import Manifest
    from tests.support.builders import Checkpoint
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
