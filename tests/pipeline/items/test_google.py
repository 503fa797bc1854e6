"""``gs://`` does what ``s3://`` does, on an emulator of Google's storage."""

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gcp_storage_emulator.server import create_server

from pipeline.items.cache import VARIABLE, chosen_cache
from store.remote.mirror import mirrored
from store.remote.origins import forget
from store.remote.places import ObjectFiles, files_at
from store.remote.releases import pull, push
from store.remote.versions import current
from tests.support.awaited import awaited
from tests.support.items import KEY, small_item
from tests.support.marked import AT_ONCE, filled, marks, versions

BUCKET = "results"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    try:
        yield f"gs://{BUCKET}/{tmp_path.name}"
    finally:
        server.stop()


def test_items_and_artifacts_lie_in_googles_buckets(place: str, tmp_path: Path) -> None:
    one, other = (chosen_cache(tmp_path / name, {VARIABLE: f"{place}/items"}) for name in "ab")
    assert one.get("graphs", KEY) is None
    one.put("graphs", small_item(x=np.arange(6.0)))
    assert other.holds("graphs", KEY, now=False)
    back = other.get("graphs", KEY)
    assert back is not None
    np.testing.assert_array_equal(back.arrays["x"], np.arange(6.0))
    assert not (tmp_path / "a").exists()

    files = files_at(f"{place}/profile")
    assert isinstance(files, ObjectFiles)
    first = push(filled(tmp_path / "profile", "one"), files)
    assert pull(files, tmp_path / "pulled") == first == current(files)
    assert marks(tmp_path / "pulled") == ["one"] * 6
    second = push(filled(tmp_path / "profile", "two"), files, grace=AT_ONCE)
    assert versions(files) == {second}
    pull(files, tmp_path / "pulled")
    assert marks(tmp_path / "pulled") == ["two"] * 6

    held = mirrored(files, tmp_path / "cache")
    try:
        held.bring(["part0/0.txt", "part1/1.txt"])
        assert marks(held.folder) == ["two"] * 2
        assert awaited(held.part, "part0/2.txt", 1, 5) == b"wo 2"
    finally:
        forget(held.folder)
    above = files_at(place)
    assert isinstance(above, ObjectFiles)
    assert above.folders() == ["items", "profile"]
