"""The small traced project, and copies of it."""

import shutil
from pathlib import Path

import pytest

from tests.support.exchange_project import Project, trace_project


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Made once; read only."""
    return trace_project(tmp_path_factory.mktemp("exchange"))


@pytest.fixture
def project(built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy that a test may change, and the current folder."""
    root = tmp_path / "project"
    shutil.copytree(built.root / "artifacts", root / "artifacts")
    shutil.copy(built.root / "params.yaml", root / "params.yaml")
    monkeypatch.chdir(root)
    return Project(root=root, manifest=built.manifest, prompts=built.prompts, traces=built.traces)
