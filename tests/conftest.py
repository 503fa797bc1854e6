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

TOGETHER: Final = ("tests/e2e", "tests/pipeline/organism", "tests/pipeline/exchange")
"""Folders whose tests share something that takes long to make: one worker runs them all."""
BROWSER: Final = "browser"
"""The tests with this mark share a Chromium and its servers in the same way."""


def pytest_runtest_setup() -> None:
    # A stage that ran in this process has set its own number.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def _together(item: pytest.Item) -> str:
    """Name of the group of tests that one worker runs, one after the other."""
    if item.get_closest_marker(BROWSER):
        return BROWSER
    path = item.nodeid.split("::")[0]
    return next((folder for folder in TOGETHER if path.startswith(f"{folder}/")), path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Over several workers: the groups that take longest begin, the small ones fill up the rest."""
    if config.getoption("dist", "no") != "loadgroup":
        return
    first = (*TOGETHER, BROWSER)
    groups = {item: _together(item) for item in items}
    items.sort(key=lambda item: first.index(groups[item]) if groups[item] in first else len(first))
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project root with the demo profile, which nobody changes."""
    from tests.support import demo
    from tests.support.once import made_once

    root = made_once(tmp_path_factory, "demo", demo.build)
    yield root
    whole = root.with_name("demo.whole").stat().st_mtime_ns
    changed = [path for path in (root / "artifacts").rglob("*") if path.stat().st_mtime_ns > whole]
    assert not changed, f"a test wrote into what all share: {changed}"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium: Playwright drives no second one in a thread."""
    from tests.support.browser import find_chromium, launched

    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium here (apt-get install chromium)")
    with launched(program) as browser:
        yield browser
