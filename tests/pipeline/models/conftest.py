"""A hub on loopback, ways to be without one, and a subject to be changed."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import reset_sessions

from tests.support.builders import Checkpoint
from tests.support.hub_server import HubServer, asked_by, hub_server


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.chdir(tmp_path)
    with hub_server() as server, asked_by(monkeypatch, server, tmp_path / "cache"):
        yield server


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        reset_sessions()

    return forbid


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    stack = ExitStack()

    def cut() -> None:
        nowhere = HubServer(url="http://127.0.0.1:9")
        stack.enter_context(asked_by(monkeypatch, nowhere, tmp_path / "cache"))

    with stack:
        yield cut


@pytest.fixture
def copy(checkpoint: Checkpoint, tmp_path: Path) -> Checkpoint:
    """The small subject again, whose files may be changed."""
    shutil.copytree(checkpoint.folder, tmp_path / "copy")
    return Checkpoint(folder=tmp_path / "copy", declared=checkpoint.base)
