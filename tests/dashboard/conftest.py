"""Demo artifacts, made once, and the app as AppTest drives it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.pages import PAGES
from tests.support import demo
from tests.support.browser import open_page as open_browser_page
from tests.support.browser import served
from tests.support.demo_project import add_subject, give_parameters
from tests.support.places import ROOT

APP = ROOT / "dashboard" / "app.py"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root with the demo profile; read only."""
    root = tmp_path_factory.mktemp("demo")
    demo.build(root)
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the demo project that a test may damage; the app reads it."""
    shutil.copytree(built / "artifacts", tmp_path / "artifacts")
    monkeypatch.setenv("EMC_ROOT", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def open_page(root: Path) -> Callable[..., AppTest]:
    """Open a page of the app, with parameters in its URL."""

    def opened(page: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=60)
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
        if page != PAGES[0].name:
            app.switch_page(next(each.script for each in PAGES if each.name == page))
            for key, value in query.items():
                app.query_params[key] = value
            app.run()
        return app

    return opened


@pytest.fixture(scope="session")
def live_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root with the demo profile and a small random model; read only."""
    root = tmp_path_factory.mktemp("live")
    demo.build(root)
    add_subject(root)
    return root


@pytest.fixture(scope="session")
def address(live_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the dashboard on demo data."""
    log = tmp_path_factory.mktemp("server") / "log"
    with served(live_root, log, OMP_NUM_THREADS="1") as where:
        yield where


@pytest.fixture(scope="session")
def typed_address(live_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a dashboard on a copy of the demo data that may be written to."""
    root = tmp_path_factory.mktemp("typed")
    shutil.copytree(live_root / "artifacts", root / "artifacts")
    give_parameters(root)
    with served(root, tmp_path_factory.mktemp("server") / "log", OMP_NUM_THREADS="1") as where:
        yield where


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    opened = open_browser_page(chromium)
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    opened.context.close()
    assert not faults
