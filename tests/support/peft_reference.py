"""What an adapter writes, by PEFT's and Hugging Face's own modules in float64: a reference."""

from dataclasses import dataclass
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.support.builders import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What an adapted MLP adds to the base's at the same input.

    Attributes
    ----------
    components
        (position, rank, d_model); rank 0 without an adapter on ``down_proj``.
    hidden
        (position, d_model).
    base, adapted
        What either MLP gives; (position, d_model).
    """

    components: torch.Tensor
    hidden: torch.Tensor
    base: torch.Tensor
    adapted: torch.Tensor


class PeftReference:
    """A base and the same with an adapter that PEFT applies, unmerged."""

    def __init__(self, checkpoint: Checkpoint, name: str, scale: float = 1.0) -> None:
        self.base = _load(checkpoint)
        self.adapted: PreTrainedModel = _load(checkpoint)
        if scale != 0:
            wrapped = PeftModel.from_pretrained(self.adapted, checkpoint.adapter(name)).double().eval()
            for module in wrapped.modules():
                if hasattr(module, "lora_A"):
                    module.scaling["default"] *= scale
            self.adapted = wrapped.base_model.model

    @torch.no_grad()
    def parts(self, layer: int, x: torch.Tensor) -> Parts:
        """At an MLP's input (position, d_model)."""
        x = x.double()
        before, now = (model.model.layers[layer].mlp for model in (self.base, self.adapted))
        hidden_before, hidden = (mlp.act_fn(mlp.gate_proj(x)) * mlp.up_proj(x) for mlp in (before, now))
        return Parts(
            components=_components(now.down_proj, hidden),
            hidden=before.down_proj(hidden) - before.down_proj(hidden_before),
            base=before(x),
            adapted=now(x),
        )

    @torch.no_grad()
    def attention(self, layer: int, x: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
        """What adapted values and outputs add under one pattern, (head, q, k), before any norm."""
        found = []
        for model in (self.adapted, self.base):
            block = model.model.layers[layer].self_attn
            value = block.v_proj(x.double()).view(len(x), -1, block.head_dim).transpose(0, 1)
            mixed = pattern.double() @ value.repeat_interleave(len(pattern) // len(value), 0)
            found.append(block.o_proj(mixed.transpose(0, 1).reshape(len(x), -1)))
        return found[0] - found[1]

    @torch.no_grad()
    def run(self, ids: list[int], *, adapted: bool = True) -> Any:
        """Hugging Face's own pass: logits before any softcap, (vocab,), and attention patterns."""
        model = self.adapted if adapted else self.base
        out = model.model(torch.tensor([ids]), output_attentions=True)
        return model.lm_head(out.last_hidden_state[0, -1]), [pattern[0] for pattern in out.attentions]


def _load(checkpoint: Checkpoint) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(checkpoint.base, attn_implementation="eager")
    return model.double().eval().requires_grad_(False)


def _components(module: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    if not hasattr(module, "lora_A"):
        return hidden.new_zeros(len(hidden), 0, module.out_features)
    down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
    amount = hidden @ down.T
    return module.scaling["default"] * amount[..., None] * up.T
