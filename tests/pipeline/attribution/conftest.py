"""Traces of which some hide something: fewer nodes than features, a cap on the logits."""

import pytest

from pipeline.attribution.trace import Trace
from tests.support.traced_subject import Capped, Subject, trace_capped


@pytest.fixture(scope="session")
def partly_traced(subject: Subject) -> Trace:
    """Fewer nodes than active features."""
    return subject.trace(subject.general, nodes=60, batch=16)


@pytest.fixture(scope="session")
def capped(tmp_path_factory: pytest.TempPathFactory) -> Capped:
    """Read-only."""
    return trace_capped(tmp_path_factory.mktemp("capped") / "x")
