"""A project of its own for every test, on the one small random model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from store.documents.manifest import Manifest


@pytest.fixture
def project(manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The profile ``mine`` in the current folder."""
    from tests.support.discovery import give_project

    monkeypatch.chdir(tmp_path)
    give_project(manifest)
    return tmp_path
