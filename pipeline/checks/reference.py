"""What Hugging Face's model says, kept so that the model itself need not be."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from store.base.hashing import bytes_digest


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Hugging Face's answer to a prompt, in float32.

    Attributes
    ----------
    logits
        (n_pos, vocab).
    streams
        The residual stream before each layer; (n_pos, d_model).
    """

    logits: torch.Tensor
    streams: list[torch.Tensor]


@torch.no_grad()
def read_reference(model: PreTrainedModel, ids: Sequence[int]) -> Reference:
    """What a Hugging Face model makes of a prompt, in float32."""
    tokens = torch.as_tensor([list(ids)], device=model.device)
    out = model(tokens, output_hidden_states=True)
    return Reference(
        logits=out.logits[0].float(), streams=[stream[0].float() for stream in out.hidden_states[:-1]]
    )


def weight_digests(model: PreTrainedModel) -> dict[str, str]:
    """SHA-256 of each weight by its name: two models are compared without holding both."""
    weights = {name: weight.detach().cpu().reshape(-1) for name, weight in model.state_dict().items()}
    return {name: bytes_digest(weight.numpy().data) for name, weight in weights.items()}
