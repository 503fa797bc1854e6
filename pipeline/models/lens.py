"""What we read of TransformerLens's models, typed.

Of the parts of a module torch says only that they are tensors or modules.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

import torch
from transformer_lens import HookedTransformer


class Norm(Protocol):
    """An RMS norm: its weight, (d_model,)."""

    w: torch.Tensor


class Attention(Protocol):
    """An attention layer; grouped queries keep each key head once under the names with ``_``.

    ``W_V`` (n_heads, d_model, d_head), ``b_V`` (n_heads, d_head), ``_W_V`` and ``_b_V`` with
    n_key_heads; ``W_O`` (n_heads, d_head, d_model), ``b_O`` (d_model,).
    """

    W_V: torch.Tensor
    b_V: torch.Tensor
    _W_V: torch.Tensor
    _b_V: torch.Tensor
    W_O: torch.Tensor
    b_O: torch.Tensor


class GatedMlp(Protocol):
    """A gated MLP: ``W_gate`` and ``W_in`` (d_model, d_mlp), ``W_out`` (d_mlp, d_model)."""

    W_gate: torch.Tensor
    W_in: torch.Tensor
    W_out: torch.Tensor

    @property
    def act_fn(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The activation function of the gate."""


class WrappedMlp(Protocol):
    """What circuit-tracer puts around an MLP, for its hooks."""

    old_mlp: GatedMlp


class Block(Protocol):
    """One layer; ``ln1_post`` and ``ln2_post`` only where the architecture has norms after, too."""

    ln1: Norm
    ln2: Norm
    ln1_post: Norm
    ln2_post: Norm
    attn: Attention
    mlp: WrappedMlp


def blocks_of(model: HookedTransformer) -> Sequence[Block]:
    """The layers of a replacement model."""
    return cast("Sequence[Block]", model.blocks)


def final_norm(model: HookedTransformer) -> Norm:
    """The norm before the unembedding."""
    return cast("Norm", model.ln_final)


def unembedding(model: HookedTransformer) -> torch.Tensor:
    """From the residual stream to logits, (d_model, d_vocab)."""
    return model.unembed.W_U
