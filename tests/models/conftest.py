"""A small random subject, made once a session."""

import pytest

from tests.builders import Checkpoint, make_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Read-only: a test that changes files makes its own."""
    return make_checkpoint(tmp_path_factory.mktemp("models") / "tiny")
