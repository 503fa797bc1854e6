"""The weights of a block that an adapter may change, as attribution needs them."""

from dataclasses import dataclass

import torch

from pipeline.attribution.frozen import Pass, head_weights
from pipeline.models.lens import blocks_of
from pipeline.models.replacement import ReplacementModel


@dataclass(frozen=True, kw_only=True)
class Projections:
    """Weights of one block, as the model has them: the very tensors, in its dtype.

    Attributes
    ----------
    gate, up, down
        (d_model, d_mlp), (d_model, d_mlp), (d_mlp, d_model).
    value, output
        (n_key_heads, d_model, d_head), (n_heads, d_head, d_model).
    value_bias, output_bias
        (n_key_heads, d_head), (d_model,).
    """

    gate: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor
    value: torch.Tensor
    output: torch.Tensor
    value_bias: torch.Tensor
    output_bias: torch.Tensor


def projections(model: ReplacementModel) -> list[Projections]:
    """The weights of every block as they are now; setting another variant leaves them.

    Nothing is copied: a float32 copy of a bfloat16 model is larger than the model. Who reckons
    with a block makes its weights float32 then.
    """
    weights = []
    for layer, block in enumerate(blocks_of(model)):
        mlp, attention = block.mlp.old_mlp, block.attn
        value, output = head_weights(model, layer)
        bias = attention._b_V if model.cfg.n_key_value_heads is not None else attention.b_V
        weights.append(
            Projections(
                gate=mlp.W_gate.detach(),
                up=mlp.W_in.detach(),
                down=mlp.W_out.detach(),
                value=value,
                output=output,
                value_bias=bias.detach(),
                output_bias=attention.b_O.detach(),
            )
        )
    return weights


def attention_output(seen: Pass, layer: int, weights: Projections) -> torch.Tensor:
    """OV(x) of a layer, biases included, under the pattern of this pass.

    At the residual stream, behind the norm that some architectures have after attention;
    (n_pos, d_model) float32.
    """
    value = torch.einsum("pm,kmd->kpd", seen.normed[layer].float(), weights.value.float())
    value = value + weights.value_bias.float()[:, None]
    group = len(weights.output) // len(value)
    mixed = seen.patterns[layer].float() @ value.repeat_interleave(group, 0)  # (n_heads, n_pos, d_head)
    written = torch.einsum("hpd,hdm->pm", mixed, weights.output.float()) + weights.output_bias.float()
    factor = seen.attention_out_factors[layer]
    return written if factor is None else written * factor


def attention_constants(seen: Pass, weights: list[Projections]) -> torch.Tensor | None:
    """What the biases of values and outputs add at the residual stream.

    (n_layers, n_pos, d_model) float32; None without biases, for which no weight is touched.
    Patterns sum to one, so every position gets all of a value's bias.
    """
    if not any(bool(block.value_bias.any() or block.output_bias.any()) for block in weights):
        return None
    constants_by_layer = []
    for factor, block in zip(seen.attention_out_factors, weights, strict=True):
        group = len(block.output) // len(block.value)
        bias = block.value_bias.float().repeat_interleave(group, 0)
        written = torch.einsum("hd,hdm->m", bias, block.output.float()) + block.output_bias.float()
        written = written.expand(len(seen.token_ids), -1)
        constants_by_layer.append(written if factor is None else written * factor)
    return torch.stack(constants_by_layer)
