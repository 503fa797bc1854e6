"""Stores appear whole: with several writers, readers in between, kills and full disks."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from store import ReplacedArtifactError, open_collection, write_collection
from store.base.atomic import ASIDE, published_folder, write_bytes
from store.base.hashing import folder_digest
from store.collections.reader import Collection
from store.format.integrity import verify
from store.schema.candidates import CANDIDATES
from tests.support.places import ROOT
from tests.support.random_items import make_items


def _marked(mark: int) -> list:
    """Items whose every array tells which version of the collection they belong to."""
    return [
        replace(
            item,
            arrays={
                "candidate_token": np.full(6, mark, dtype=np.int32),
                "candidate_probability": np.full(6, mark, dtype=np.float32),
            },
        )
        for item in make_items(CANDIDATES, 3)
    ]


def _marks(collection: Collection) -> set[float]:
    return {float(value) for item in collection.items() for array in item.arrays.values() for value in array}


def _publish(path: Path, mark: int, times: int) -> None:
    for _ in range(times):
        write_collection(path, CANDIDATES, _marked(mark), provenance={"mark": mark})


def test_writers_and_readers_at_once_never_mix(tmp_path) -> None:
    path = tmp_path / "c"
    _publish(path, 0, 1)
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_publish, args=(path, mark, 12)) for mark in (1, 2)]
    for writer in writers:
        writer.start()
    seen: set[float] = set()
    while any(writer.is_alive() for writer in writers):
        try:
            collection = open_collection(path)
            marks = _marks(collection)
        except ReplacedArtifactError:
            continue
        assert marks == {collection.provenance["mark"]}
        seen |= marks
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert verify(path) == []
    assert _marks(open_collection(path)) <= {1.0, 2.0}
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]
    assert seen


def test_a_reader_of_a_replaced_store_is_told(tmp_path) -> None:
    path = tmp_path / "c"
    _publish(path, 1, 1)
    before = open_collection(path)
    first, *_, last = [(p, v) for p in before.prompts() for v in before.variants(p)]
    assert before.item(*first).arrays["candidate_token"][0] == 1
    _publish(path, 2, 1)
    for who in (first, last):
        with pytest.raises(ReplacedArtifactError, match="open it again"):
            before.item(*who)
    assert open_collection(path).item(*first).arrays["candidate_token"][0] == 2


def test_a_store_that_is_written_again_the_same_stays_open(tmp_path) -> None:
    path = tmp_path / "c"
    _publish(path, 1, 1)
    before, inode = open_collection(path), path.stat().st_ino
    _publish(path, 1, 3)
    assert _marks(before) == {1.0}
    assert path.stat().st_ino == inode
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("what", ["altered", "longer", "missing", "more"])
def test_a_damaged_store_is_written_again(tmp_path, what) -> None:
    path = tmp_path / "c"
    _publish(path, 1, 1)
    whole = folder_digest(path)
    chunk = sorted(path.glob("*/candidate_token/c*"))[0]
    content = chunk.read_bytes()
    if what == "missing":
        chunk.unlink()
    elif what == "more":
        (path / "notes").write_text("mine")
    else:
        chunk.write_bytes(bytes([content[0] ^ 1]) + content[1:] if what == "altered" else content + b"\0")
    _publish(path, 1, 1)
    assert folder_digest(path) == whole
    assert verify(path) == []


def test_an_empty_folder_is_published_too(tmp_path) -> None:
    with published_folder(tmp_path / "c"):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_with_or_without_exchange(tmp_path, monkeypatch, exchange) -> None:
    if not exchange:
        monkeypatch.setattr("store.base.atomic._exchange", lambda one, other: False)
    for mark in ("old", "new"):
        with published_folder(tmp_path / "out") as folder:
            (folder / mark).write_text(mark)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["new"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    path = tmp_path / "c"
    _publish(path, 1, 1)
    before = folder_digest(path)
    real = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "index" in self.parts:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        _publish(path, 2, 1)
    monkeypatch.undo()
    assert folder_digest(path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


_LIMITED = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
from tests.store.collections.test_publishing import _publish
try:
    _publish(Path(sys.argv[1]), 2, 1)
except OSError as error:
    print(type(error).__name__, error.errno)
"""


def test_a_write_that_the_system_refuses_is_an_os_error(tmp_path) -> None:
    # A real refusal, inside Zarr's own writes: files beyond 200 bytes.
    path = tmp_path / "c"
    _publish(path, 1, 1)
    before = folder_digest(path)
    command = [sys.executable, "-c", _LIMITED, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["OSError", str(errno.EFBIG)]
    assert folder_digest(path) == before


_FOREVER = """
import sys
from pathlib import Path
from tests.store.collections.test_publishing import _publish
print("ready", flush=True)
_publish(Path(sys.argv[1]), 2, 10_000)
"""


def test_a_killed_writer_leaves_a_whole_store(tmp_path) -> None:
    path = tmp_path / "c"
    _publish(path, 1, 1)
    writer = subprocess.Popen([sys.executable, "-c", _FOREVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(f".*{ASIDE}")) and time.monotonic() < deadline:
            time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
    assert verify(path) == []
    assert _marks(open_collection(path)) in ({1.0}, {2.0})
    assert any(entry.name.endswith(ASIDE) for entry in tmp_path.iterdir())
    _publish(path, 3, 1)
    assert _marks(open_collection(path)) == {3.0}
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"], "what a dead writer left goes"


def test_what_a_living_writer_has_aside_stays(tmp_path) -> None:
    with published_folder(tmp_path / "c") as mine:
        (mine / "f").write_text("unfinished")
        _publish(tmp_path / "c", 1, 1)
        assert (mine / "f").exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch) -> None:
    write_bytes(tmp_path / "f", b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "f", b"new")
    assert (tmp_path / "f").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]
