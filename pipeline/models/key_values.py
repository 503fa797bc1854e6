"""Keys and values of texts that grow: transformers' cache with room for tokens to come, and rows that leave.

transformers' own layers copy all that they hold at every token (`torch.cat`), which took two fifths of the
time of sampling. Here a token is written behind those that are there. What attention reads has the same
values in the same order, so logits are the same to the last bit.
"""

from typing import Any, Final

import torch
from transformers.cache_utils import Cache, DynamicLayer

_ROOM: Final = 64
"""Tokens that there is room for at a time: what is allocated before it is needed stays small."""


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer, (row, head, position, width): views of larger tensors.

    Those are (position, row, head, width): a token is written in one piece, and what no row has reached
    yet is no memory that the system must clear.

    Parameters
    ----------
    layer
        What has been read; a layer of sliding attention only if texts stay within the window.
    rows
        (row,) which of its rows each row goes on from.
    """

    def __init__(self, layer: DynamicLayer, rows: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        keys, values = _held(layer)
        self.is_sliding, self.is_initialized = layer.is_sliding, True
        self.dtype, self.device = layer.dtype, layer.device
        self._room = _roomier(keys, rows), _roomier(values, rows)
        self._show(keys.shape[-2])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, cache_kwargs: dict[str, Any] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write what is new behind what is there, and give all of it."""
        keys, values = _held(self)
        start, end = keys.shape[-2], keys.shape[-2] + key_states.shape[-2]
        if end > len(self._room[0]):
            rows = torch.arange(len(keys), device=self.device)
            self._room = _roomier(keys, rows), _roomier(values, rows)
        for room, states in zip(self._room, (key_states, value_states), strict=True):
            room[start:end] = states.permute(2, 0, 1, 3)
        return self._show(end)

    def close_ranks(self, holes: torch.Tensor, sources: torch.Tensor, left: int) -> None:
        """Move some rows into the places of others; the first `left` rows stay."""
        length = _held(self)[0].shape[-2]
        for room in self._room:
            room[:length, holes] = room[:length, sources]
        keys, values = self._room
        self._room = keys[:, :left], values[:, :left]
        self._show(length)

    def _show(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = self._room
        self.keys, self.values = (room[:length].permute(1, 2, 0, 3) for room in (keys, values))
        return self.keys, self.values


def with_room(cache: Cache, rows: torch.Tensor, *, windowed: bool) -> None:
    """Let each row go on from a row that has been read, `rows` (row,), and make room for its tokens.

    Parameters
    ----------
    windowed
        Whether layers of sliding attention will see less than all of a text: transformers' own, which
        forget what lies before the window, stay in place.
    """
    for place, layer in enumerate(cache.layers):
        assert isinstance(layer, DynamicLayer)
        if layer.is_sliding and windowed:
            layer.batch_select_indices(rows)
        else:
            cache.layers[place] = RoomyLayer(layer, rows)


def keep_rows(cache: Cache, kept: torch.Tensor, count: int) -> torch.Tensor:
    """Let the other rows of a cache go: rows from the end come into their places, the others are not copied.

    Parameters
    ----------
    kept
        Rows that stay, ascending.
    count
        How many rows there are.

    Returns
    -------
    torch.Tensor
        (row,) which of the old rows is at each place.
    """
    left = len(kept)
    order = torch.arange(left, device=kept.device)
    free = torch.ones(count, dtype=torch.bool, device=kept.device)
    free[kept] = False
    holes, sources = free[:left].nonzero()[:, 0], kept[kept >= left]
    order[holes] = sources
    for layer in cache.layers:
        assert isinstance(layer, DynamicLayer)
        if isinstance(layer, RoomyLayer):
            layer.close_ranks(holes, sources, left)
        else:
            layer.batch_select_indices(order)
    return order


def _held(layer: DynamicLayer) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of a layer that has read something."""
    assert layer.keys is not None
    assert layer.values is not None
    return layer.keys, layer.values


def _roomier(held: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """(position, row, head, width): some rows, with room for more tokens behind what they hold."""
    _, heads, length, width = held.shape
    room = held.new_empty(length + _ROOM, len(rows), heads, width)
    torch.index_select(held.permute(2, 0, 1, 3), 1, rows, out=room[:length])
    return room
