"""Which tokens a feature promotes by itself: its decoder row through the unembedding."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import numpy as np
import torch

from pipeline.analysis.feature_inputs import Promoted
from pipeline.items.units import Unit
from pipeline.models.dictionaries import decoder_rows
from pipeline.models.lens import final_norm, unembedding
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.collections.item import Item

# Logits (feature x vocabulary) at a time: 128 MB in float32.
_BLOCK: Final = 1 << 25


def compute_promoted(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Promoted tokens of a unit's one variant; its arguments are those of `promoted_tokens`, as lists."""
    (variant,) = unit.variants
    layer, index = (np.array(unit.arguments[name], np.int64) for name in ("layer", "index"))
    found = promoted_tokens(models.replacement(variant), layer, index, unit.arguments["n"])
    name = unit.item(variant)
    yield (
        "promoted",
        Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=asdict(found), scalars={}),
    )


@torch.inference_mode()
def promoted_tokens(replacement: ReplacementModel, layer: np.ndarray, index: np.ndarray, n: int) -> Promoted:
    """Most promoted and suppressed tokens of features, per unit of activation.

    ``(W_dec * w) @ W_U`` minus its mean over the vocabulary, with ``w`` the weight of the
    final norm. The norm's scale (1 / RMS of the residual stream) is *left out*, because it
    depends on the prompt: ranks and signs hold everywhere, sizes compare between features
    but are not logits on any prompt. Later layers that read the feature are ignored.

    Parameters
    ----------
    replacement
        circuit-tracer's TransformerLens replacement model.
    layer, index
        (feature,) which features.
    n
        Tokens on either side; fewer where the vocabulary is smaller.
    """
    unembed = unembedding(replacement).float()  # (d_model, vocabulary)
    norm = final_norm(replacement)
    weight = norm.w.float() if hasattr(norm, "w") else 1.0
    n = min(n, unembed.shape[1])
    tokens = np.zeros((2, len(layer), n), np.int32)
    logits = np.zeros((2, len(layer), n), np.float32)
    step = max(1, _BLOCK // unembed.shape[1])
    for this in np.unique(layer):
        rows = np.flatnonzero(layer == this)
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            features = torch.as_tensor(index[block].astype(np.int64))
            # A cross-layer feature's writings all end up in the residual stream.
            decoder = torch.stack(decoder_rows(replacement.transcoders, int(this), features)).float().sum(0)
            direct = (decoder.to(unembed.device) * weight) @ unembed
            direct = direct - direct.mean(dim=1, keepdim=True)
            for side, largest in enumerate((True, False)):
                top = direct.topk(n, dim=1, largest=largest)
                tokens[side, block] = top.indices.cpu().numpy()
                logits[side, block] = top.values.cpu().numpy()
    return Promoted(
        promoted_token=tokens[0],
        promoted_logit=logits[0],
        suppressed_token=tokens[1],
        suppressed_logit=logits[1],
    )
