"""The item cache gives back exactly what was put, or nothing."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load, save

from pipeline.items.cache import ItemCache
from tests.support.items import KEY, small_item

KIND = "graphs"


@given(
    array=hnp.arrays(
        dtype=st.sampled_from([np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, bool]),
        shape=hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=5),
    )
)
def test_round_trip_is_exact(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray) -> None:
    cache = ItemCache(tmp_path_factory.mktemp("cache"))
    cache.put(KIND, small_item(x=array))
    back = cache.get(KIND, KEY)
    assert back is not None
    assert back.arrays["x"].dtype == array.dtype
    assert back.arrays["x"].tobytes() == array.tobytes()
    assert back.scalars == small_item().scalars
    assert back.identity == ("0123456789ab", "base", "")


def test_a_transposed_array_keeps_its_values(tmp_path: Path) -> None:
    cache = ItemCache(tmp_path)
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    cache.put(KIND, small_item(x=array))
    back = cache.get(KIND, KEY)
    assert back is not None
    np.testing.assert_array_equal(back.arrays["x"], array)


def test_the_bytes_follow_from_key_and_arrays(tmp_path: Path) -> None:
    arrays = {
        "wide": np.arange(3, dtype=np.int64),
        "b": np.ones((2, 3), dtype=np.float32),
        "flag": np.array([True]),
        "a": np.zeros(0, dtype=np.int16),
    }
    written = set()
    for number in range(24):
        cache = ItemCache(tmp_path / str(number))
        order = sorted(arrays, reverse=bool(number % 2))
        cache.put(KIND, small_item(**{name: arrays[name] for name in order}))
        (path,) = cache.root.rglob("*.safetensors")
        written.add(path.read_bytes())
    (content,) = written
    loaded = load(content)  # the library's own reader, which checks the header's claims
    assert {name: each.tobytes() for name, each in loaded.items()} == {
        name: each.tobytes() for name, each in arrays.items()
    }
    assert all(loaded[name].dtype == array.dtype for name, array in arrays.items())
    assert struct.unpack("<Q", content[:8])[0] % 8 == 0, "numbers begin where they can be mapped"


def test_entries_whose_header_is_in_another_order_are_read(tmp_path: Path) -> None:
    cache = ItemCache(tmp_path)
    cache.put(KIND, small_item())
    (path,) = tmp_path.rglob("*.safetensors")
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    metadata = dict(reversed(header["__metadata__"].items()))
    path.write_bytes(save(load(content), metadata))
    back = cache.get(KIND, KEY)
    assert back is not None
    assert back.scalars == small_item().scalars


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_entry_that_another_process_removes_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    cache = ItemCache(tmp_path)
    cache.put(KIND, small_item())
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    read = Path.read_bytes

    def removed(self: Path) -> bytes:
        content = b"" if when == "before" else read(self)
        self.unlink()
        return content or read(self)

    monkeypatch.setattr(Path, "read_bytes", removed)
    assert cache.get(KIND, KEY) is None


def test_every_truncation_and_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    cache = ItemCache(tmp_path)
    cache.put(KIND, small_item())
    (path,) = tmp_path.rglob("*.safetensors")
    whole = path.read_bytes()
    for place in range(len(whole)):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(damaged)
            back = cache.get(KIND, KEY)
            # A flip in the padding of the header changes nothing that is read.
            assert back is None or whole[place : place + 1] == b" ", place
            assert cache.holds(KIND, KEY) is (back is not None)
