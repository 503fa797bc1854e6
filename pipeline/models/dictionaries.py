"""Features of one layer, of either kind of set: how they are read, and where they write.

A per-layer transcoder's feature writes in its own layer, a cross-layer transcoder's in its own and all
later ones. Everything that intervenes, or rebuilds what MLPs write, asks here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from circuit_tracer.transcoder import TranscoderSet
from circuit_tracer.transcoder.activation_functions import JumpReLU
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from torch import nn

Transcoders = TranscoderSet | CrossLayerTranscoder


def dictionary_size(transcoders: Transcoders) -> int:
    """Features of a layer."""
    if isinstance(transcoders, CrossLayerTranscoder):
        return transcoders.d_transcoder
    return transcoders[0].d_transcoder


def layer_count(transcoders: Transcoders) -> int:
    """Layers of a set."""
    return transcoders.n_layers if isinstance(transcoders, CrossLayerTranscoder) else len(transcoders)


def encode(transcoders: Transcoders, layer: int, x: torch.Tensor) -> torch.Tensor:
    """Activations (..., feature) of what a layer's features read, (..., d_model)."""
    if isinstance(transcoders, CrossLayerTranscoder):
        read: torch.Tensor = transcoders.encode_layer(x, layer)
        return read
    encoded: torch.Tensor = transcoders[layer].encode(x)
    return encoded


def encoder_of(
    transcoders: Transcoders, layer: int, features: torch.Tensor, rows: torch.Tensor | None = None
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Encode some features only, where the activation function is one of each by itself.

    `rows` is what they read, (feature, d_model), where that was read before: from disk it is a layer's whole.
    """
    crossing = isinstance(transcoders, CrossLayerTranscoder)
    function = _activation_function(transcoders, layer)
    activate: Callable[[torch.Tensor], torch.Tensor]
    if isinstance(function, JumpReLU):
        threshold = function.threshold[layer, 0] if crossing else function.threshold
        own = threshold[features] if threshold.numel() > 1 else threshold

        def jump(x: torch.Tensor) -> torch.Tensor:
            return x * (x > own)

        activate = jump
    elif function in (F.relu, torch.relu) or isinstance(function, nn.ReLU):
        activate = F.relu
    else:  # TopK compares features with each other
        return lambda x: encode(transcoders, layer, x)[..., features]
    weight = encoder_rows(transcoders, layer)[features] if rows is None else rows
    bias = _encoder_bias(transcoders, layer)[features]
    return lambda x: activate(F.linear(x.to(weight.dtype), weight, bias))


def encoder_rows(transcoders: Transcoders, layer: int) -> torch.Tensor:
    """What a layer's features read, (feature, d_model)."""
    if isinstance(transcoders, CrossLayerTranscoder):
        rows: torch.Tensor = transcoders._get_encoder_weights(layer)
        return rows
    own: torch.Tensor = transcoders[layer].W_enc
    return own


def decoder_rows(
    transcoders: Transcoders, layer: int, features: torch.Tensor | slice | None = None
) -> list[torch.Tensor]:
    """What a layer's features write in that layer, and in each later one that they write in.

    Parameters
    ----------
    transcoders, layer
        Whose.
    features
        Which; None: all.

    Returns
    -------
    list of torch.Tensor
        (feature, d_model) by layer, from `layer` on.
    """
    if isinstance(transcoders, CrossLayerTranscoder):
        rows = transcoders._get_decoder_vectors(layer, features)
        return list(rows.unbind(1))
    transcoder = transcoders[layer]
    return [transcoder.W_dec if features is None else transcoder._get_decoder_vectors(features)]


def decoder_norms(transcoders: Transcoders, layer: int) -> torch.Tensor:
    """Length of all that a unit of each feature writes, (feature,) float32."""
    # Of the whole, in one: last bits of a norm depend on how it is laid out.
    if isinstance(transcoders, CrossLayerTranscoder):
        rows: torch.Tensor = transcoders._get_decoder_vectors(layer, slice(None))
    else:
        rows = transcoders._get_decoder_vectors(layer, slice(None))
    norms: torch.Tensor = rows.float().flatten(1).norm(dim=-1)
    return norms


def written(transcoders: Transcoders, activations: Sequence[torch.Tensor], layer: int) -> torch.Tensor:
    """What features of all layers up to `layer` write in it, (..., d_model).

    `activations` are (..., feature) by layer, as far as `layer` at least; biases and skips are left out.
    """
    if not isinstance(transcoders, CrossLayerTranscoder):
        own: torch.Tensor = activations[layer] @ transcoders[layer].W_dec
        return own
    parts = [
        activations[source] @ decoder_rows(transcoders, source)[layer - source] for source in range(layer + 1)
    ]
    return torch.stack(parts).sum(0)


def _activation_function(transcoders: Transcoders, layer: int) -> Any:
    if isinstance(transcoders, CrossLayerTranscoder):
        return transcoders.activation_function
    return transcoders[layer].activation_function


def _encoder_bias(transcoders: Transcoders, layer: int) -> torch.Tensor:
    if isinstance(transcoders, CrossLayerTranscoder):
        return transcoders.b_enc[layer]
    bias: torch.Tensor = transcoders[layer].b_enc
    return bias
