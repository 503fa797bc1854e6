"""How strongly each LoRA component acts at each token of a prompt: A_i . h in the adapted model.

Read off Hugging Face's own modules, so that h is what the adapter would read there, value biases included.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from pipeline.attribution.component_writers import O_PROJ, Writer, component_names, writers_of
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from pipeline.models.stream_norms import inverse_scale, stream_norms
from store.base.errors import PromptError
from store.collections.item import Item
from store.schema.vocabulary import WRITERS


def compute_gates(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Gates of a unit's one variant, an adapted one; it has no arguments."""
    (variant,) = unit.variants
    name = unit.item(variant)
    arrays = gate_arrays(models, variant, unit.token_ids)
    yield (
        "gates",
        Item(key=name.key, prompt_hash=name.prompt_hash, variant=variant, arrays=arrays, scalars={}),
    )


@torch.inference_mode()
def gate_arrays(models: ModelPool, variant: str, token_ids: Sequence[int]) -> dict[str, np.ndarray]:
    """The arrays of `store.schema.gates.GATES` of one prompt in an adapted variant.

    Raises
    ------
    PromptError
        What a module reads is not finite; the message names the layer.
    """
    writers = writers_of(models, variant)
    model = models.causal_lm(variant)
    norms = [stream_norms(model, layer) for layer in range(model.config.num_hidden_layers)]
    behind = [
        norms[each.layer].behind_attention if each.module == O_PROJ else norms[each.layer].behind_mlp
        for each in writers
    ]
    asked = [each.read for each in norms] + [norm for norm in behind if norm is not None]
    read = _inputs(model, token_ids, [model.get_submodule(each.name) for each in writers] + asked)
    n_pos = len(token_ids)
    ones = torch.ones(n_pos, device=model.device)
    parts: dict[str, list[torch.Tensor]] = {
        name: [] for name in ("gate", "cosine", "scale", "added", "random")
    }
    for writer, norm in zip(writers, behind, strict=True):
        h = read[model.get_submodule(writer.name)].float()
        if not torch.isfinite(h).all():
            raise PromptError(
                f"What {WRITERS[writer.module]} of layer {writer.layer} reads is NaN or infinite; use dtype "
                "float32, and check the weights of this profile.",
                layer=writer.layer,
            )
        scale = ones if norm is None else inverse_scale(read[norm], model)
        _act(parts, writer, h, scale)
    plain = models.transcoders.feature_input_hook == "hook_resid_mid"
    read_scale = [ones if plain else inverse_scale(read[each.read], model) for each in norms]
    return {
        "token": np.array(token_ids, np.int32),
        **component_names(writers),
        "gate": _stacked(parts["gate"], n_pos),
        "gate_cosine": _stacked(parts["cosine"], n_pos),
        "read_width": np.array([each.down.shape[1] for each in writers for _ in each.down], np.int32),
        "write_scale": _stacked(parts["scale"], n_pos),
        "read_scale": torch.stack(read_scale).cpu().numpy(),
        "origin_module": np.array([each.module for each in writers], np.int8),
        "origin_layer": np.array([each.layer for each in writers], np.int16),
        "added": _stacked(parts["added"], n_pos),
        "added_random": _stacked(parts["random"], n_pos),
    }


def _act(
    parts: Mapping[str, list[torch.Tensor]], writer: Writer, h: torch.Tensor, scale: torch.Tensor
) -> None:
    """Append what a writer does; `h` (n_pos, in), `scale` (n_pos,)."""
    gate = writer.down @ h.T  # (rank, n_pos)
    read, size = writer.down.norm(dim=1, keepdim=True), h.norm(dim=1)
    stream = writer.up * writer.gain  # (rank, d_model)
    parts["gate"].append(gate)
    parts["cosine"].append((gate / (read * size).clamp(min=torch.finfo(gate.dtype).tiny)).clamp(-1.0, 1.0))
    parts["scale"].append(scale.expand(len(gate), -1))
    parts["added"].append(((gate.T @ stream).norm(dim=1) * scale)[None])
    # Rows of A in random directions: products with h are independent, of mean square |A|^2 |h|^2 / in.
    square = (stream.norm(dim=1, keepdim=True) * read).square().sum() / h.shape[1]
    parts["random"].append((square.sqrt() * size * scale)[None])


def _inputs(
    model: PreTrainedModel, token_ids: Sequence[int], modules: Sequence[nn.Module]
) -> dict[nn.Module, torch.Tensor]:
    """What modules read in one pass over a prompt; (n_pos, width) each. No hook stays."""
    seen: dict[nn.Module, torch.Tensor] = {}

    def keep(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen[module] = arguments[0][0]

    hook: Callable[[nn.Module, tuple[Any, ...]], None] = keep
    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_pre_hook(hook).remove)
        model.model(input_ids=torch.tensor([list(token_ids)], device=model.device), use_cache=False)
    return seen


def _stacked(parts: Sequence[torch.Tensor], n_pos: int) -> np.ndarray:
    """(row, position) float32."""
    return torch.cat(list(parts)).cpu().numpy() if parts else np.zeros((0, n_pos), np.float32)
