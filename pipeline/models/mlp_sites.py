"""Where in a model of transformers a transcoder reads, and where it writes: circuit-tracer's hooks, there."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

Write = Callable[[torch.Tensor], torch.Tensor]


def on_read(
    model: PreTrainedModel, layer: int, hook: str, see: Callable[[torch.Tensor], None]
) -> RemovableHandle:
    """See what a layer's transcoder reads, (row, position, d_model), in every pass.

    Parameters
    ----------
    hook
        Of `transcoder_forms.INPUT_HOOKS`.
    """
    block = model.model.layers[layer]
    if hook == "mlp.hook_in":
        handle: RemovableHandle = block.mlp.register_forward_pre_hook(lambda _, given: see(given[0]))
        return handle
    # Gemma has a norm behind attention, too; the one that reads the residual stream is before the MLP.
    norm = getattr(block, "pre_feedforward_layernorm", None) or block.post_attention_layernorm
    change = (
        (lambda x: x) if hook == "hook_resid_mid" else partial(_normalized, epsilon=model.config.rms_norm_eps)
    )
    handle = norm.register_forward_pre_hook(lambda _, given: see(change(given[0])))
    return handle


def on_write(model: PreTrainedModel, layer: int, hook: str, write: Write) -> RemovableHandle:
    """Change what the layer's MLP writes, where a transcoder's output stands for it.

    Parameters
    ----------
    hook
        Of `transcoder_forms.OUTPUT_HOOKS`.
    """
    block = model.model.layers[layer]
    behind: nn.Module | None = getattr(block, "post_feedforward_layernorm", None)
    module = behind if hook == "hook_mlp_out" and behind is not None else block.mlp
    handle: RemovableHandle = module.register_forward_hook(lambda _, given, output: write(output))
    return handle


def on_stream(model: PreTrainedModel, layer: int, write: Write) -> RemovableHandle:
    """Change the residual stream behind a layer."""

    def change(
        _: nn.Module, given: object, output: torch.Tensor | tuple[torch.Tensor, ...]
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        # Gemma 2 gives what it attends to beside it, where that is asked for.
        return (write(output[0]), *output[1:]) if isinstance(output, tuple) else write(output)

    handle: RemovableHandle = model.model.layers[layer].register_forward_hook(change)
    return handle


def _normalized(x: torch.Tensor, *, epsilon: float) -> torch.Tensor:
    """What a norm divides, before its gain: in float32, as TransformerLens has it."""
    wide = x.float()
    return wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
