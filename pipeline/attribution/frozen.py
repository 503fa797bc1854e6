"""The local replacement model of one prompt: one forward pass, and what it freezes.

The pass fixes attention patterns and norm scales; what remains is linear and lies in
`pipeline.attribution.linear`.
"""

from dataclasses import dataclass

import torch
from transformer_lens.hook_points import HookPoint

from pipeline.attribution.linear import FrozenLayer, FrozenModel
from pipeline.models.lens import Block, blocks_of, final_norm
from pipeline.models.replacement import ReplacementModel
from pipeline.models.transcoder_forms import INPUT_HOOKS, OUTPUT_HOOKS
from store.base.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One forward pass of a variant: its numbers, and what is frozen in it.

    Attributes
    ----------
    token_ids
        (n_pos,) int64.
    logits, raw_logits
        At the last position after and before any softcap; (d_vocab,) float32.
    embedding
        Token vectors; (n_pos, d_model).
    normed
        What attention reads, behind its norm, by layer; (n_layers, n_pos, d_model).
    mlp_in, mlp_out
        Transcoders' inputs and outputs by layer; (n_layers, n_pos, d_model).
    mlp_read
        The MLPs' own inputs by layer; (n_layers, n_pos, d_model).
    mlp_out_factors, attention_out_factors
        By layer, from the MLP's own output to the transcoder's, and from the attention's to
        the residual stream, where a norm lies between them; (n_pos, d_model) float32, else None.
    patterns
        Attention patterns by layer, as the model has them; (n_heads, n_pos, n_pos).
    frozen
        The linear model, in float32.
    """

    token_ids: torch.Tensor
    logits: torch.Tensor
    raw_logits: torch.Tensor
    embedding: torch.Tensor
    normed: torch.Tensor
    mlp_in: torch.Tensor
    mlp_out: torch.Tensor
    mlp_read: torch.Tensor
    mlp_out_factors: list[torch.Tensor | None]
    attention_out_factors: list[torch.Tensor | None]
    patterns: list[torch.Tensor]
    frozen: FrozenModel


@torch.no_grad()
def run_forward(model: ReplacementModel, token_ids: torch.Tensor) -> Pass:
    """Run a prompt once and freeze everything but lines.

    Raises
    ------
    UserError
        The transcoders read or write at a place that is not supported.
    """
    require_supported_hooks(model)
    cfg, blocks = model.cfg, blocks_of(model)
    seen: dict[str, torch.Tensor] = {}

    def grab(value: torch.Tensor, hook: HookPoint) -> None:
        seen[str(hook.name)] = value[0].detach()

    names = ["hook_embed", "ln_final.hook_scale", "unembed.hook_post"]
    inner = [
        "ln1.hook_scale",
        "ln1.hook_normalized",
        "attn.hook_pattern",
        "ln2.hook_scale",
        "mlp.hook_in",
        model.feature_input_hook,
        model.feature_output_hook,
    ]
    if cfg.use_normalization_before_and_after:
        inner += ["ln1_post.hook_scale", "ln2_post.hook_scale"]
    names += [f"blocks.{layer}.{name}" for layer in range(cfg.n_layers) for name in dict.fromkeys(inner)]
    logits = model.run_with_hooks(token_ids, fwd_hooks=[(name, grab) for name in names])

    def stacked(name: str) -> torch.Tensor:
        return torch.stack([seen[f"blocks.{layer}.{name}"] for layer in range(cfg.n_layers)])

    weights = torch.stack([block.ln1.w for block in blocks])[:, None]
    return Pass(
        token_ids=token_ids,
        logits=logits[0, -1].float(),
        raw_logits=seen["unembed.hook_post"][-1].float(),
        embedding=seen["hook_embed"],
        normed=stacked("ln1.hook_normalized").to(weights.dtype) * weights,
        mlp_in=stacked(model.feature_input_hook),
        mlp_out=stacked(model.feature_output_hook),
        mlp_read=stacked("mlp.hook_in"),
        mlp_out_factors=[
            _factor(block.ln2_post.w, seen[f"blocks.{layer}.ln2_post.hook_scale"])
            if cfg.use_normalization_before_and_after and _behind_norm(model)
            else None
            for layer, block in enumerate(blocks)
        ],
        attention_out_factors=[
            _factor(block.ln1_post.w, seen[f"blocks.{layer}.ln1_post.hook_scale"])
            if cfg.use_normalization_before_and_after
            else None
            for layer, block in enumerate(blocks)
        ],
        patterns=[seen[f"blocks.{layer}.attn.hook_pattern"] for layer in range(cfg.n_layers)],
        frozen=FrozenModel(
            layers=[_freeze(model, layer, seen) for layer in range(cfg.n_layers)],
            final=_factor(final_norm(model).w, seen["ln_final.hook_scale"]),
        ),
    )


def require_supported_hooks(model: ReplacementModel) -> None:
    """Refuse transcoders that read or write elsewhere than around an MLP.

    Raises
    ------
    UserError
        The message names the hook and those that are supported.
    """
    for name, hook, supported in (
        ("feature_input_hook", model.feature_input_hook, INPUT_HOOKS),
        ("feature_output_hook", model.original_feature_output_hook, OUTPUT_HOOKS),
    ):
        if hook not in supported:
            raise UserError(
                f"The transcoders' {name} is {hook!r}, which is not supported; supported are "
                f"{', '.join(supported)}."
            )


def head_weights(model: ReplacementModel, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """W_V (n_key_heads, d_model, d_head) and W_O (n_heads, d_head, d_model) of a layer."""
    attention = blocks_of(model)[layer].attn
    grouped = model.cfg.n_key_value_heads is not None
    # Grouped attention repeats W_V for every head under its plain name.
    return (attention._W_V if grouped else attention.W_V).detach(), attention.W_O.detach()


def attention_weights(
    model: ReplacementModel, layer: int, value: torch.Tensor, output: torch.Tensor
) -> dict[str, torch.Tensor]:
    """`FrozenLayer.value` and `FrozenLayer.output` of a layer from its W_V and W_O.

    Parameters
    ----------
    model
        Has the norms' weights.
    layer
        Which one.
    value, output
        (n_key_heads, d_model, d_head), (n_heads, d_head, d_model).
    """
    block, d_model = blocks_of(model)[layer], model.cfg.d_model
    weights = {
        "value": value.float().transpose(1, 2).reshape(-1, d_model) * block.ln1.w.detach().float(),
        "output": output.float().reshape(-1, d_model),
    }
    if model.cfg.use_normalization_before_and_after:
        weights["output"] = weights["output"] * block.ln1_post.w.detach().float()
    return weights


def _freeze(model: ReplacementModel, layer: int, seen: dict[str, torch.Tensor]) -> FrozenLayer:
    block, prefix = blocks_of(model)[layer], f"blocks.{layer}."
    post = bool(model.cfg.use_normalization_before_and_after)
    value, output = head_weights(model, layer)
    n_key_heads = len(value)
    pattern = seen[prefix + "attn.hook_pattern"].float()  # (n_heads, q, k)
    if post:
        pattern = pattern / seen[prefix + "ln1_post.hook_scale"].float()
    pattern = pattern / seen[prefix + "ln1.hook_scale"].float().T
    n_pos = pattern.shape[-1]
    grouped = pattern.view(n_key_heads, -1, n_pos, n_pos).permute(0, 3, 1, 2)
    return FrozenLayer(
        pattern=grouped.reshape(n_key_heads, n_pos, -1),
        **attention_weights(model, layer, value, output),
        read=_read_factor(model, block, seen[prefix + "ln2.hook_scale"].float()),
        write=_factor(block.ln2_post.w, seen[prefix + "ln2_post.hook_scale"])
        if post and not _behind_norm(model)
        else None,
        skip=_skip(model, layer),
    )


def _read_factor(model: ReplacementModel, block: Block, scale: torch.Tensor) -> torch.Tensor | None:
    """From the residual stream before the MLP to what transcoders read; None: they are the same."""
    if model.feature_input_hook == "mlp.hook_in":
        return _factor(block.ln2.w, scale)
    if model.feature_input_hook == "ln2.hook_normalized":
        return (1 / scale).expand(-1, model.cfg.d_model)
    return None


def _behind_norm(model: ReplacementModel) -> bool:
    """Whether transcoders' outputs are behind the block's last norm, where it has one."""
    return bool(model.original_feature_output_hook == "hook_mlp_out")


def _skip(model: ReplacementModel, layer: int) -> torch.Tensor | None:
    """W with gradient(input) = gradient(output) @ W."""
    if not model.skip_transcoder:
        return None
    eye = torch.eye(model.cfg.d_model, dtype=model.cfg.dtype, device=model.cfg.device)
    skipped: torch.Tensor = model.transcoders.compute_skip(layer, eye)
    return skipped.T.float().contiguous()


def _factor(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return weight.detach().float() / scale.float()
