"""What features write, as later features read it, whatever the prompt."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from circuit_tracer.transcoder import TranscoderSet

from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.collections.item import Item
from store.schema.circuits import VIRTUAL_WEIGHTS


def compute_virtual_weights(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """One item; the unit's arguments are those of `virtual_weights`."""
    (variant,) = unit.variants
    name = unit.item(variant)
    arrays = {"virtual_weight": virtual_weights(models.replacement(variant), **unit.arguments)}
    yield (
        VIRTUAL_WEIGHTS.kind,
        Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=arrays, scalars={}),
    )


@torch.no_grad()
def virtual_weights(model: ReplacementModel, pairs: Sequence[Sequence[int]]) -> np.ndarray:
    """W_enc(target) W_dec(source) of pairs of features (Ameisen et al. 2025), along the residual stream.

    Norms between, which scale it, and attention are left out: it is a property of the dictionaries.

    Parameters
    ----------
    model
        Whose transcoders.
    pairs
        Source layer and index, target layer and index.

    Returns
    -------
    numpy.ndarray
        (pair,) float32, pre-activation a unit of the source's activation; NaN of cross-layer transcoders,
        which write in several layers.
    """
    found = np.full(len(pairs), np.nan, np.float32)
    if not isinstance(model.transcoders, TranscoderSet):
        return found
    ends = np.array([tuple(pair) for pair in pairs], np.int64).reshape(-1, 4)
    for source, target in np.unique(ends[:, [0, 2]], axis=0).tolist():
        here = np.flatnonzero((ends[:, 0] == source) & (ends[:, 2] == target))
        decoder = model.transcoders[source].W_dec[ends[here, 1]].float()
        encoder = model.transcoders[target].W_enc[ends[here, 3]].float()
        found[here] = (encoder * decoder).sum(-1).cpu().numpy()
    return found
