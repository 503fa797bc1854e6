"""Keys and values with room equal those that are copied at every token, whoever leaves and when."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.cache_utils import Cache, DynamicLayer, DynamicSlidingWindowLayer

from pipeline.models import key_values
from pipeline.models.key_values import RoomyLayer, keep_rows, with_room

HEADS, WIDTH, WINDOW = 2, 3, 6


def filled(*layers: DynamicLayer, read: int, rows: int) -> Cache:
    """A cache that has read some tokens of some rows."""
    cache = Cache(layers=list(layers))
    append(cache, torch.Generator().manual_seed(0), rows, read)
    return cache


def append(cache: Cache, generator: torch.Generator, rows: int, tokens: int = 1) -> list[torch.Tensor]:
    """What each layer gives for new tokens: keys and values, one behind the other."""
    found = []
    for layer in range(len(cache.layers)):
        keys, values = torch.randn((2, rows, HEADS, tokens, WIDTH), generator=generator)
        found.append(torch.cat(cache.update(keys, values, layer)))
    return found


@given(
    of=st.lists(st.integers(0, 2), min_size=1, max_size=7),
    leaving=st.lists(st.sets(st.integers(0, 6)), max_size=12),
    windowed=st.booleans(),
    read=st.integers(1, 9),
)
def test_what_attention_reads_is_what_transformers_gives_it(
    of: list[int], leaving: list[set[int]], windowed: bool, read: int
) -> None:
    """Against layers of transformers of which rows are selected; bit for bit, with room for two tokens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_values, "_ROOM", 2)

        def layers() -> tuple[DynamicLayer, DynamicLayer]:
            return DynamicSlidingWindowLayer(WINDOW if windowed else 99), DynamicLayer()

        ours, theirs = filled(*layers(), read=read, rows=3), filled(*layers(), read=read, rows=3)
        rows = torch.tensor(of)
        with_room(ours, rows, windowed=windowed)
        theirs.batch_select_indices(rows)
        assert [isinstance(layer, RoomyLayer) for layer in ours.layers] == [not windowed, True]
        assert ours.is_sliding == theirs.is_sliding == [True, False]
        count, running = len(of), torch.arange(len(of))
        for step, gone in enumerate(leaving):
            kept = torch.tensor([place for place in range(count) if running[place].item() not in gone])
            if not len(kept):
                break
            order = keep_rows(ours, kept, count)
            assert sorted(order.tolist()) == kept.tolist()
            theirs.batch_select_indices(order)
            count, running = len(kept), running[order]
            given_, expected = (
                append(cache, torch.Generator().manual_seed(step + 1), count) for cache in (ours, theirs)
            )
            assert all(torch.equal(*pair) for pair in zip(given_, expected, strict=True))
            place = torch.tensor([0])
            for layer in range(2):
                assert ours.get_seq_length(layer) == theirs.get_seq_length(layer) == read + step + 1
                assert ours.get_mask_sizes(place, layer) == theirs.get_mask_sizes(place, layer)


def test_rows_that_stay_are_not_copied() -> None:
    cache = filled(DynamicLayer(), read=2, rows=3)
    with_room(cache, torch.tensor([0, 1, 2, 2, 1]), windowed=False)
    place = cache.layers[0].keys.data_ptr()
    before = cache.layers[0].keys.clone()
    assert keep_rows(cache, torch.tensor([0, 2, 4]), 5).tolist() == [0, 4, 2]
    append(cache, torch.Generator(), 3)
    assert cache.layers[0].keys.data_ptr() == place, "nor at the next token"
    assert torch.equal(cache.layers[0].keys[:, :, :2], before[[0, 4, 2]])
