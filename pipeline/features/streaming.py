"""What transcoders read in texts of different length, in padded batches, layer by layer."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import numpy as np
import torch
from tqdm import tqdm
from transformer_lens.hook_points import HookPoint

from pipeline.models.dictionaries import dictionary_size
from pipeline.models.replacement import ReplacementModel

# Activations (token x feature) of one layer at a time: 64 MB in float32.
_BLOCK: Final = 1 << 24
_MAX_TOKENS: Final = 4096

Visit = Callable[[int, np.ndarray, torch.Tensor], None]
"""Sees a layer, rows of the texts, and what its transcoder reads in them, (row, position, d_model)."""


def encoded(replacement: ReplacementModel, x: torch.Tensor, layer: int) -> torch.Tensor:
    """Activations (..., feature) float32 of what a layer's transcoder reads, (..., d_model)."""
    activations: torch.Tensor = replacement.transcoders.encode_layer(x.to(replacement.cfg.dtype), layer)
    return activations.float()


def stream(
    replacement: ReplacementModel,
    texts: Sequence[Sequence[int]],
    chosen: Sequence[int] | np.ndarray,
    visit: Visit,
    *,
    label: str | None = None,
) -> None:
    """Call `visit` for every batch and layer.

    Padding stands behind the text, where causal attention keeps it from changing anything; what is
    read there means nothing.

    Parameters
    ----------
    replacement
        Of the variant that reads.
    texts
        Token ids of each text, BOS included.
    chosen
        Rows of the texts that are read.
    visit
        Called without gradients.
    label
        Of the progress bar; None: there is none.
    """

    def read(x: torch.Tensor, hook: HookPoint, *, layer: int, rows: np.ndarray) -> None:
        visit(layer, rows, x)

    n_tokens = min(_MAX_TOKENS, max(1, _BLOCK // dictionary_size(replacement.transcoders)))
    batches = list(_batches(texts, chosen, n_tokens))
    for rows in tqdm(batches, desc=label, unit="batch", disable=label is None):
        ids = torch.zeros((len(rows), max(len(texts[row]) for row in rows)), dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, : len(texts[row])] = torch.as_tensor(texts[row])
        hooks = [
            (f"blocks.{layer}.{replacement.feature_input_hook}", partial(read, layer=layer, rows=rows))
            for layer in range(replacement.cfg.n_layers)
        ]
        ids = ids.to(replacement.cfg.device)
        with torch.inference_mode(), replacement.hooks([*hooks]):
            # All may count as text: no token looks at what follows.
            replacement(ids, attention_mask=torch.ones_like(ids), stop_at_layer=replacement.cfg.n_layers)


def _batches(
    texts: Sequence[Sequence[int]], chosen: Sequence[int] | np.ndarray, n_tokens: int
) -> Iterator[np.ndarray]:
    """Texts of like length together, at most `n_tokens` padded tokens a batch."""
    ordered = sorted((int(row) for row in chosen), key=lambda row: (len(texts[row]), row))
    batch: list[int] = []
    for row in ordered:
        if batch and (len(batch) + 1) * len(texts[row]) > n_tokens:
            yield np.array(batch, np.int64)
            batch = []
        batch.append(row)
    if batch:
        yield np.array(batch, np.int64)
