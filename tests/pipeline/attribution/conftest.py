"""Traces of which some hide something: fewer nodes than features, a cap on the logits."""

import pytest

from pipeline.attribution.trace import Trace
from tests.support.builders import add_adapter, make_checkpoint
from tests.support.subjects import ADAPTERS, COMPONENT_CASES, Case
from tests.support.traced_subject import Capped, Subject, trace_capped


@pytest.fixture(scope="session")
def partly_traced(subject: Subject) -> Trace:
    """Fewer nodes than active features."""
    return subject.trace(subject.general, nodes=60, batch=16)


@pytest.fixture(scope="session")
def capped(tmp_path_factory: pytest.TempPathFactory) -> Capped:
    """Read-only."""
    return trace_capped(tmp_path_factory.mktemp("capped") / "x")


@pytest.fixture(scope="session", params=COMPONENT_CASES, ids="-".join)
def component_case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A random subject with an adapter on all modules, rank-stabilised and of two ranks; read-only."""
    architecture, kind = request.param
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("components") / "x", architecture=architecture)
    add_adapter(checkpoint, "stabilised", seed=3, **ADAPTERS["stabilised"])
    return Case.of(checkpoint, kind)
