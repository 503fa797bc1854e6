"""Demo artifacts, made once, and the app as AppTest drives it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.dashboard import demo

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"


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
        if page != "overview":
            app.switch_page(f"views/{page}.py")
            for key, value in query.items():
                app.query_params[key] = value
            app.run()
        return app

    return opened


def add_subject(root: Path, profile: str = "demo") -> None:
    """Give a demo profile a small random model, so that steering has something to run."""
    from pipeline.models.manifest import write_manifest
    from tests.builders import make_checkpoint

    folder = root / "artifacts" / profile
    checkpoint = make_checkpoint(folder / "subject")
    write_manifest(folder / "models.json", checkpoint.manifest())


@pytest.fixture(scope="session")
def live_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project root with the demo profile and a small random model; read only."""
    root = tmp_path_factory.mktemp("live")
    demo.build(root)
    add_subject(root)
    return root
