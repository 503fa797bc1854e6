"""A place in object storage that each test has to itself."""

from pathlib import Path

import pytest

from store.remote.places import ObjectFiles, files_at
from tests.support.object_store import BUCKET, ObjectStore


@pytest.fixture
def place(tmp_path: Path, objects: ObjectStore) -> ObjectFiles:
    found = files_at(f"s3://{BUCKET}/{tmp_path.name}")
    assert isinstance(found, ObjectFiles)
    return found
