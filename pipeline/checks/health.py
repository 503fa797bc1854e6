"""Health checks of a subject, before anything is computed from it.

Each check guards a trap that has cost researchers weeks: the wrong base under an adapter
(6), two loading paths that differ (7), overflow in half precision (4), NaN that shows up
as "did not converge" (5). A failure names what, where and what to do.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from transformer_lens.hook_points import HookPoint
from transformers import PreTrainedModel

from pipeline.attribution.frozen import run_forward
from pipeline.attribution.source_nodes import collect_sources
from pipeline.models.files import folder_of
from pipeline.models.loading import DTYPES, load_causal_lm, load_switchable, load_transcoders
from pipeline.models.lora import AdapterConfig, read_adapter_config, read_factors, weight_norm
from pipeline.models.replacement import ReplacementModel
from pipeline.models.switching import SwitchableReplacement
from pipeline.models.tokenizer import load_tokenizer
from store.base.errors import UserError
from store.documents.manifest import Manifest
from store.documents.variants import Variant

# Not science but the width of float32: logits of both implementations, relative to the
# largest; and how far a residual stream may be from float32's before it is another model.
PARITY_TOLERANCE: Final = 1e-4
STREAM_TOLERANCE: Final = 0.1
# A reconstruction so many times the MLP's output is a transcoder of something else.
RECONSTRUCTION_LIMIT: Final = 100.0


def check_health(
    manifest: Manifest,
    variants: Sequence[Variant],
    token_ids: Sequence[int],
) -> dict[str, Any]:
    """Run every check on some variants.

    Parameters
    ----------
    manifest
        The subject.
    variants
        Which to check; base is loaded in any case, for comparison.
    token_ids
        A prompt to run, BOS included.

    Returns
    -------
    dict
        JSON-able: ``dtype``, ``tolerances``, and by variant ``parity`` (logits against
        Hugging Face's in float32), ``layers`` (residual stream, activations,
        reconstruction; position 0 excluded) and the ``largest_activation`` of them, ``adapter``
        (declared base, changed modules, norm of what it adds to the weights).

    Raises
    ------
    UserError
        A check fails.
    """
    ids = list(token_ids)
    tokenizer = load_tokenizer(manifest)
    exact = load_transcoders(manifest, dtype=torch.float32)
    # Not the same object in another dtype: a replacement model casts its set in place.
    cast = None if DTYPES[manifest.dtype] == torch.float32 else load_transcoders(manifest)
    base_weights = _weights(load_causal_lm(manifest, _base(), dtype=torch.float32))
    # One base set to each variant, as every stage has it.
    names = [variant.name for variant in variants if not variant.is_base]
    source = load_switchable(manifest, names, dtype=torch.float32)
    replacements = SwitchableReplacement(source, tokenizer, exact)
    lower = None if cast is None else SwitchableReplacement(load_switchable(manifest, names), tokenizer, cast)
    report: dict[str, Any] = {
        "dtype": manifest.dtype,
        "n_tokens": len(ids),
        "tolerances": {
            "parity": PARITY_TOLERANCE,
            "stream": STREAM_TOLERANCE,
            "reconstruction": RECONSTRUCTION_LIMIT,
        },
        "variants": {},
    }
    for variant in variants:
        model = load_causal_lm(manifest, variant, dtype=torch.float32)
        checks: dict[str, Any] = {}
        if not variant.is_base:
            config = read_adapter_config(folder_of(manifest.adapter(variant), "adapter"))
            checks["adapter"] = {
                "declared_base": config.base_model,
                "changed": _check_changes(manifest, variant, base_weights, _weights(model)),
                "weight_norm": _weight_norm(config, variant),
            }
        replacement = replacements.set(variant)
        checks["parity"] = check_parity(model, replacement, ids, str(variant))
        if lower is not None:
            replacement = lower.set(variant)
        checks["layers"] = check_layers(model, replacement, ids, str(variant))
        checks["largest_activation"] = max(layer["max_activation"] for layer in checks["layers"])
        report["variants"][str(variant)] = checks
    return report


def _weight_norm(config: AdapterConfig, variant: Variant) -> float:
    return abs(variant.scale) * weight_norm(read_factors(config))


def _check_changes(
    manifest: Manifest,
    variant: Variant,
    base: dict[str, torch.Tensor],
    adapted: dict[str, torch.Tensor],
) -> list[str]:
    """Weights differ from base in the adapter's targets only, and do differ (trap 6)."""
    changed = sorted(
        name.removesuffix(".weight")
        for name, tensor in adapted.items()
        if not torch.equal(tensor, base[name])
    )
    stray = sorted(set(changed) - set(manifest.adapter(variant).targets))
    if stray:
        raise UserError(
            f"Variant '{variant}' differs from base in {stray[0]}, which is no target of the adapter "
            f"({len(stray)} such); its weights were not made from this base."
        )
    if not changed:
        raise UserError(
            f"Variant '{variant}' has exactly the weights of base: the adapter "
            f"{manifest.adapter(variant).source} changes nothing; was it trained and saved?"
        )
    return changed


@torch.no_grad()
def check_parity(
    model: PreTrainedModel, replacement: ReplacementModel, ids: Sequence[int], variant: str
) -> dict[str, float]:
    """The replacement model's logits are Hugging Face's (trap 7), both in float32.

    Raises
    ------
    UserError
        They differ by more than `PARITY_TOLERANCE` of the largest logit.
    """
    tokens = torch.as_tensor([list(ids)], device=model.device)
    expected = model(tokens).logits[0].float()
    got = replacement(tokens)[0].float()
    scale = float(expected.abs().max())
    difference = (got - expected).abs().amax(-1)  # (n_pos,)
    worst = float(difference.max())
    # Written so that NaN fails, too.
    if not worst <= PARITY_TOLERANCE * scale:
        position = int((~(difference <= PARITY_TOLERANCE * scale)).nonzero()[0, 0])
        raise UserError(
            f"Variant '{variant}': the replacement model's logits differ from Hugging Face's by "
            f"{worst:.2g} (largest logit {scale:.2g}), first at position {position}; "
            "this model's configuration is not fully supported, so nothing computed from it would hold."
        )
    return {"max_difference": worst, "max_logit": scale}


@torch.no_grad()
def check_layers(
    model: PreTrainedModel, replacement: ReplacementModel, ids: Sequence[int], variant: str
) -> list[dict[str, float]]:
    """Finite and ordinary activations in every layer, at every position but 0 (trap 4).

    The residual stream in the profile's dtype is compared with Hugging Face's in float32,
    and the transcoders' reconstruction with the MLP's output, layer by layer.

    Returns
    -------
    list of dict
        By layer: ``stream_rms`` (largest over positions), ``stream_difference`` (relative,
        largest), ``max_activation``, ``active_per_token``, ``reconstruction`` (norm
        relative to the MLP output's, largest), ``unexplained`` (share of variance).

    Raises
    ------
    UserError
        A layer and position is out of the ordinary; the message names it.
    """
    tokens = torch.as_tensor([list(ids)], device=model.device)
    streams = model(tokens, output_hidden_states=True).hidden_states[:-1]
    # Checks that everything is finite, naming layer and position.
    sources = collect_sources(replacement, run_forward(replacement, tokens[0]))
    inputs: dict[str, torch.Tensor] = {}

    def keep(value: torch.Tensor, hook: HookPoint) -> None:
        inputs[str(hook.name)] = value[0].float()

    n_layers = replacement.cfg.n_layers
    hooks = [f"blocks.{layer}.hook_resid_pre" for layer in range(n_layers)]
    outputs = [f"blocks.{layer}.{replacement.feature_output_hook}" for layer in range(n_layers)]
    replacement.run_with_hooks(tokens, fwd_hooks=[(name, keep) for name in hooks + outputs])
    layer_of, values = sources.features[:, 0], sources.activations.float()
    skip = replacement.zero_positions.stop
    rows = []
    for layer in range(n_layers):
        expected = streams[layer][0].float()
        size = expected.norm(dim=-1)
        difference = ((inputs[hooks[layer]] - expected).norm(dim=-1) / size)[skip:]
        _require_below(
            difference,
            STREAM_TOLERANCE,
            f"Variant '{variant}', layer {layer}",
            skip,
            "the residual stream is off float32's",
        )
        output = inputs[outputs[layer]]
        error = sources.errors[layer]
        ratio = ((output - error).norm(dim=-1) / output.norm(dim=-1).clamp(min=1e-6))[skip:]
        _require_below(
            ratio,
            RECONSTRUCTION_LIMIT,
            f"Variant '{variant}', layer {layer}",
            skip,
            "the transcoder's output is a multiple of the MLP's,",
        )
        mine = values[layer_of == layer]
        centred = output[skip:] - output[skip:].mean(0)
        rows.append(
            {
                "stream_rms": float(size[skip:].max() / expected.shape[-1] ** 0.5),
                "stream_difference": float(difference.max()),
                "max_activation": float(mine.max()) if len(mine) else 0.0,
                "active_per_token": len(mine) / max(1, len(ids) - skip),
                "reconstruction": float(ratio.max()),
                "unexplained": float(error[skip:].square().sum() / centred.square().sum()),
            }
        )
    return rows


def _require_below(values: torch.Tensor, limit: float, where: str, skip: int, what: str) -> None:
    above = ~(values <= limit)
    if above.any():
        position = int(above.nonzero()[0, 0])
        raise UserError(
            f"{where}, position {position + skip}: {what} by a factor of "
            f"{float(values[position]):.3g} (limit {limit:g}); check dtype and transcoders of this profile."
        )


def _weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def _base() -> Variant:
    return Variant(name="base", scale=0.0)
