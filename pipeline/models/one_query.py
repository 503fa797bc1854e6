"""Attention of one query a row, as sampling asks for it: two batched products of matrices.

PyTorch's kernel for CPUs is made for blocks of queries, and takes twice the time for one query a row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME: Final = "one_query"


@contextmanager
def one_query_attention(model: Any) -> Iterator[None]:
    """Let a model of transformers that attends by SDPA attend by `attend` for a while."""
    usual = model.config._attn_implementation
    if usual != "sdpa":
        yield
        return
    model.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(usual)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """softmax(scaling q k' + mask) v, for one query a row in float32 on the CPU; all else is SDPA's.

    Parameters
    ----------
    query, key, value
        (row, head, position, width); keys and values may have fewer heads, each of which serves as many
        neighbouring heads of the queries (Ainslie et al. 2023, arXiv 2305.13245).
    attention_mask
        (row, 1, query, position): what is added to scores, or bool marks of what is seen.
    scaling
        None: 1 / sqrt(width).

    Returns
    -------
    tuple
        (row, query, head, width), and no weights, as transformers expects.
    """
    rows, heads, queries, width = query.shape
    if queries != 1 or query.dtype != torch.float32 or query.device.type != "cpu":
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
    groups = query.reshape(rows, key.shape[1], -1, width) * (width**-0.5 if scaling is None else scaling)
    scores = groups @ key.transpose(-1, -2)  # (row, head of keys, head of queries, position)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        scores = scores.masked_fill_(~attention_mask, torch.finfo(scores.dtype).min)
    elif attention_mask is not None:
        scores += attention_mask
    return (scores.softmax(dim=-1) @ value).reshape(rows, 1, heads, width), None


AttentionInterface.register(_NAME, attend)
AttentionMaskInterface.register(_NAME, sdpa_mask)
