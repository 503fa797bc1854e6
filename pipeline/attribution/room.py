"""Is there room for what is to be traced? Asked when a prompt's sources are known, before it is."""

from dataclasses import dataclass

import torch

from pipeline.attribution.engine import Attribution
from pipeline.attribution.estimate import Sizes, trace_sizes
from pipeline.models.free_memory import free_bytes
from store.base.errors import PromptError


@dataclass(frozen=True, kw_only=True)
class Room:
    """What tracing a prompt in several variants together takes at its peak, in bytes.

    Attributes
    ----------
    device
        The rows of all variants, and one batch's gradients.
    memory
        Dense graphs, which stay until the last is there; where the device is the CPU, both.
    """

    device: int
    memory: int


def room(sizes: Sizes, variants: int, *, attention: bool, on_gpu: bool) -> Room:
    """The room that variants of one prompt take, of which one is base.

    Parameters
    ----------
    sizes
        Of one variant.
    variants
        How many are traced together.
    attention
        Whether adapted variants are traced twice, the second time in the attention mode.
    on_gpu
        Whether rows and graphs lie apart.
    """
    twice = int(attention and variants > 1)
    graphs = sizes.graph_bytes * (variants + twice * (variants - 1))
    rows = sizes.row_bytes * variants
    if on_gpu:
        return Room(device=rows + sizes.row_bytes * twice + sizes.gradient_bytes, memory=graphs)
    begun = rows + max(sizes.gradient_bytes, sizes.graph_bytes)
    peak = max(begun, graphs + sizes.row_bytes * (1 + twice))
    return Room(device=peak, memory=peak)


def require_room(attribution: Attribution, max_feature_nodes: int, variants: int, *, attention: bool) -> None:
    """Refuse a prompt that cannot be traced here; others may.

    Parameters
    ----------
    attribution
        Of one variant, with the logits' rows and no others.
    max_feature_nodes
        As for `Attribution.select`.
    variants, attention
        As of `room`.

    Raises
    ------
    PromptError
        It needs more than is free; the message names the parameters that lower it.
    """
    device = attribution.sources.tokens.device
    sizes, on_gpu = trace_sizes(attribution, max_feature_nodes), device.type != "cpu"
    needed = room(sizes, variants, attention=attention, on_gpu=on_gpu)
    places = [("memory", needed.memory, torch.device("cpu"))]
    places += [("the GPU's memory", needed.device, device)] if on_gpu else []
    for place, n_bytes, where in places:
        free = free_bytes(where)
        if n_bytes > free:
            n_pos = len(attribution.sources.tokens)
            raise PromptError(
                f"This prompt of {n_pos} tokens, traced in {variants} variants, needs about "
                f"{n_bytes / 1e9:,.1f} GB of {place} beside the models, and {free / 1e9:,.1f} GB are free; "
                f"lower graphs.max_feature_nodes ({max_feature_nodes}) or graphs.batch_size "
                f"({attribution.batch_size}) in params.yaml, trace fewer variants, or shorten it."
            )
