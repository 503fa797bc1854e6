"""The item cache gives back exactly what was put, or nothing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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
    assert (back.prompt_hash, back.variant) == ("0123456789ab", "base")


def test_a_transposed_array_keeps_its_values(tmp_path: Path) -> None:
    cache = ItemCache(tmp_path)
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    cache.put(KIND, small_item(x=array))
    back = cache.get(KIND, KEY)
    assert back is not None
    np.testing.assert_array_equal(back.arrays["x"], array)


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
