"""Sequences of different length as one batch, padded on the right, for models that look only back."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

IGNORED: Final = -100
"""A label that counts for no loss, as in Hugging Face."""


def pad(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Rows of different length as one (n_rows, longest) int64 tensor, padded on the right."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def forward_inputs(ids: Tensor) -> dict[str, Any]:
    """How a causal language model is called on (n_rows, longest) ids whose padding stands on the right.

    No token looks at what follows, so none looks at padding, and all may count as text. To say so
    saves a mask: told nothing, transformers makes one that sets packed sequences apart.
    """
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
