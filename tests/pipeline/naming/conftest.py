"""A service on loopback, and the key that it is asked with."""

from collections.abc import Iterator

import pytest

from tests.support.judge_server import JudgeServer, judge_server
from tests.support.judging import KEY


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JudgeServer]:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with judge_server() as served:
        yield served
