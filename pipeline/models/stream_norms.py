"""Norms between what a module writes, the residual stream, and what transcoders read.

An RMS norm multiplies by a gain, which is a weight, and divides by a scale, which is one number
a position. Frozen, it is linear.
"""

from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm

_GEMMA: Final = (Gemma2RMSNorm, Gemma3RMSNorm)


@dataclass(frozen=True, kw_only=True)
class StreamNorms:
    """Norms of one layer.

    Attributes
    ----------
    read
        Before the MLP.
    behind_attention, behind_mlp
        Between what either writes and the residual stream; None where there is none, as in all
        architectures but Gemma 2 and 3.
    """

    read: nn.Module
    behind_attention: nn.Module | None
    behind_mlp: nn.Module | None


def stream_norms(model: PreTrainedModel, layer: int) -> StreamNorms:
    """The norms of a layer of a supported model (`pipeline.models.architectures`)."""
    block = model.model.layers[layer]
    if isinstance(block.input_layernorm, _GEMMA):
        return StreamNorms(
            read=block.pre_feedforward_layernorm,
            behind_attention=block.post_attention_layernorm,
            behind_mlp=block.post_feedforward_layernorm,
        )
    # Its name says where it stands, not what it does: it is what the MLP reads behind.
    return StreamNorms(read=block.post_attention_layernorm, behind_attention=None, behind_mlp=None)


def gain_of(norm: nn.Module) -> torch.Tensor:
    """What a norm multiplies by, (d_model,) float32; Gemma keeps it minus one."""
    weight = cast("torch.Tensor", norm.weight).detach().float()
    return weight + 1 if isinstance(norm, _GEMMA) else weight


def inverse_scale(x: torch.Tensor, model: PreTrainedModel) -> torch.Tensor:
    """One over what a norm divides by at each position.

    Parameters
    ----------
    x
        What the norm reads, (n_pos, d_model).
    model
        Has the norms' epsilon.

    Returns
    -------
    torch.Tensor
        (n_pos,) float32.
    """
    scale: torch.Tensor = torch.rsqrt(x.float().square().mean(-1) + model.config.rms_norm_eps)
    return scale
