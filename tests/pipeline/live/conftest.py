"""A small random subject with two adapters, opened for live work."""

from pathlib import Path

import pytest

from pipeline.live import LivePool
from pipeline.params.graphs import GraphParams
from pipeline.params.project import load_params
from store.documents.manifest import Manifest, write_manifest


@pytest.fixture
def pool(manifest: Manifest, tmp_path: Path) -> LivePool:
    write_manifest(tmp_path / "models.json", manifest)
    return LivePool(tmp_path / "models.json", tmp_path)


@pytest.fixture(scope="package")
def graphs() -> GraphParams:
    """The project's own parameters."""
    return load_params().graphs
