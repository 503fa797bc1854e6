"""Settings for every test, and what tests of several folders share.

One thread, no network, nothing of the user's environment. Nothing heavy is imported here: a
test of a room without a model or a page starts at once.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

# Before numpy or torch is imported, here and in the processes that tests start.
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{library}_NUM_THREADS"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TOGETHER: Final = (
    "test_own_model",
    "tests/e2e/",
    "test_browser",
    "tests/pipeline/organism/",
    "tests/pipeline/exchange/",
)
"""Tests that share something that takes long to make, by a part of their path: one worker runs
them all, one after the other. They take longest, so they begin; single modules fill up the rest."""


_WATCHED: Final = ("USE_", "HF_", "TRANSFORMERS_", "PYTHONPATH", "DVC_", "EMC_", "AWS_", "OPENAI_")
"""Variables that decide what a process imports, where it looks and whom it asks."""


@pytest.fixture(autouse=True, scope="module")
def same_environment() -> Iterator[None]:
    """No module leaves such variables to the next, whose processes would inherit them."""
    before = dict(os.environ)
    yield
    changed = {name for name, _ in dict(os.environ).items() ^ before.items() if name.startswith(_WATCHED)}
    assert not changed, f"variables that a test left behind: {changed}"


@pytest.fixture
def no_origins_left() -> Iterator[None]:
    """What a test mirrors is no folder that a later one looks for elsewhere."""
    yield
    from store.remote.origins import _ORIGINS, forget

    for folder in list(_ORIGINS):
        forget(folder)


def pytest_runtest_setup() -> None:
    # A stage that ran in this process has set its own number.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _group(nodeid: str) -> str:
    """What one worker runs as a whole: a module, or all of `TOGETHER`'s tests of a kind."""
    path = nodeid.split("::")[0]
    return next((part for part in TOGETHER if part in path), path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        order = {part: number for number, part in enumerate(TOGETHER)}
        items.sort(key=lambda item: order.get(_group(item.nodeid), len(order)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n``: groups in the order of collection. (Marks cannot say it: pytest 9.2 does not
    give pytest-xdist's ``loadgroup`` the names that it puts them into.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project root with the demo profile, which nobody changes."""
    from tests.support import demo
    from tests.support.once import made_once

    root = made_once(tmp_path_factory, "demo", demo.build)
    yield root
    whole = root.with_name("demo.whole").stat().st_mtime_ns
    changed = [path for path in root.rglob("*") if path.stat().st_mtime_ns > whole]
    assert not changed, f"a test wrote into what all share: {changed}"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Any]:
    """An S3 server on loopback, started once; see `objects`."""
    from tests.support.object_store import object_store

    with object_store() as store:
        yield store


@pytest.fixture
def objects(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`tests.support.object_store.ObjectStore`, which clients of this process find; its bucket is empty."""
    yield s3_server.used(monkeypatch)
    s3_server.empty()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium: Playwright drives no second one in a thread."""
    from tests.support.browser import find_chromium, launched

    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium here (apt-get install chromium)")
    with launched(program) as browser:
        yield browser
