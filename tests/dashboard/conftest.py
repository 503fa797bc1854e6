"""The app as AppTest drives it, and as a browser sees it, on demo artifacts."""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dashboard.pages import PAGES
from tests.support.demo_project import add_subject, give_parameters, linked
from tests.support.once import made_once
from tests.support.places import ROOT

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest


@pytest.fixture
def monkeypatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """With fresh caches: what was read before hides no change, and what is read of one no other test sees."""
    _forget()
    yield monkeypatch
    _forget()


@pytest.fixture
def root(demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project root that the app reads and a test may change: see `linked`."""
    linked(demo_root, tmp_path)
    monkeypatch.setenv("EMC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture
def shown_root(request: pytest.FixtureRequest) -> Iterator[None]:
    """Who asks for no `root` of its own sees the demo that all share, and what others have read of it."""
    if "root" in request.fixturenames:
        request.getfixturevalue("root")  # before a fixture opens a page
        yield
        return
    shared = request.getfixturevalue("live_root" if "live" in request.fixturenames else "demo_root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMC_ROOT", str(shared))
        yield


def _forget() -> None:
    # A test that draws no page does not import Streamlit for it.
    if st := sys.modules.get("streamlit"):
        st.cache_data.clear()
        st.cache_resource.clear()


@pytest.fixture(scope="session")
def _components_found_once() -> Iterator[None]:
    """A server looks once for components in all installed packages (0.3 s); so do all apps of tests."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        look = functools.cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", look)
        yield


@pytest.fixture
def open_page(shown_root: None, _components_found_once: None) -> Callable[..., AppTest]:
    """Open a page of the app, with parameters in its URL."""
    from streamlit.testing.v1 import AppTest
    from streamlit.util import calc_hash

    def opened(page: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=180)
        for key, value in query.items():
            app.query_params[key] = value
        if page != PAGES[0].name:
            # As a link does. `switch_page` knows the pages only after a run, which would draw the first.
            app._page_hash = calc_hash(page)
        return app.run()

    return opened


@pytest.fixture(scope="session")
def live_root(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root with the demo profile and a small random model; read only."""

    def make(root: Path) -> None:
        shutil.copytree(demo_root, root)
        add_subject(root)

    return made_once(tmp_path_factory, "live", make)


@pytest.fixture
def live(request: pytest.FixtureRequest, live_root: Path) -> None:
    """Give what the test sees a model."""
    if "root" in request.fixturenames:
        root = request.getfixturevalue("root")
        shutil.rmtree(root / "artifacts")
        linked(live_root, root)


@pytest.fixture(scope="session")
def address(live_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the dashboard on demo data."""
    from tests.support.browser import served

    with served(live_root, tmp_path_factory.mktemp("server") / "log") as where:
        yield where


@pytest.fixture(scope="session")
def typed_address(live_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard on the same data, with parameters and prompts that may be written to."""
    from tests.support.browser import served

    root = tmp_path_factory.mktemp("typed")
    linked(live_root, root)
    give_parameters(root)
    with served(root, tmp_path_factory.mktemp("server") / "log") as where:
        yield where


@pytest.fixture(scope="session")
def window(chromium: Any) -> Iterator[Any]:
    """A window of Chromium, which loads Streamlit's scripts once for all tests."""
    from tests.support.browser import WINDOW

    context = chromium.new_context(viewport=WINDOW)
    yield context
    context.close()


@pytest.fixture
def page(window: Any) -> Iterator[Any]:
    """A new tab; of what earlier ones stored only the cache of files is left."""
    from tests.support.browser import patient

    opened = patient(window.new_page())
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    try:
        if opened.url.startswith("http"):
            opened.evaluate("localStorage.clear()")
    finally:
        opened.close()
        window.clear_cookies()
    assert not faults
