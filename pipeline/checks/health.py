"""Health checks of a subject, before anything is computed from it.

Each check guards a trap that has cost researchers weeks: the wrong base under an adapter
(6), two loading paths that differ (7), overflow in half precision (4), NaN that shows up
as "did not converge" (5). A failure names what, where and what to do.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from transformer_lens.hook_points import HookPoint

from pipeline.attribution.frozen import run_forward
from pipeline.attribution.source_nodes import collect_sources
from pipeline.checks.reference import Reference, read_reference, weight_digests
from pipeline.models.deltas import delta_norm, is_merged
from pipeline.models.files import folder_of
from pipeline.models.loading import DTYPES, load_switchable, load_transcoders
from pipeline.models.lora import read_adapter_config
from pipeline.models.replacement import ReplacementModel
from pipeline.models.switching import SwitchableModel, SwitchableReplacement
from pipeline.models.tokenizer import load_tokenizer
from store.base.errors import UserError
from store.documents.manifest import Manifest, Source
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

    One model is held at a time, switched from variant to variant: Hugging Face's first, which the
    replacement model is then made of.

    Parameters
    ----------
    manifest
        The subject.
    variants
        Which to check.
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
    names = [variant.name for variant in variants if not variant.is_base]
    report: dict[str, Any] = {
        "dtype": manifest.dtype,
        "n_tokens": len(ids),
        "tolerances": {
            "parity": PARITY_TOLERANCE,
            "stream": STREAM_TOLERANCE,
            "reconstruction": RECONSTRUCTION_LIMIT,
        },
        "variants": {str(variant): {} for variant in variants},
    }
    expected = _check_exact(manifest, variants, ids, report)
    if DTYPES[manifest.dtype] != torch.float32:
        lower = SwitchableReplacement(
            load_switchable(manifest, names), load_tokenizer(manifest), load_transcoders(manifest)
        )
        for variant in variants:
            _add_layers(report, expected[str(variant)], lower.set(variant), ids)
    return report


def _check_exact(
    manifest: Manifest, variants: Sequence[Variant], ids: Sequence[int], report: dict[str, Any]
) -> dict[str, Reference]:
    """All that is checked in float32, for the report; Hugging Face's answers by variant.

    Its models are let go of at the end.
    """
    names = [variant.name for variant in variants if not variant.is_base]
    source = load_switchable(manifest, names, dtype=torch.float32)
    expected = _read_references(manifest, source, variants, ids, report)
    exact = DTYPES[manifest.dtype] == torch.float32
    # Of a set that the profile has in another dtype, no feature is asked for here.
    transcoders = load_transcoders(manifest, dtype=torch.float32, streamed=not exact)
    replacements = SwitchableReplacement(source, load_tokenizer(manifest), transcoders)
    for variant in variants:
        name = str(variant)
        replacement = replacements.set(variant)
        report["variants"][name]["parity"] = check_parity(expected[name], replacement, ids, name)
        if exact:
            _add_layers(report, expected[name], replacement, ids)
    return expected


def _read_references(
    manifest: Manifest,
    source: SwitchableModel,
    variants: Sequence[Variant],
    ids: Sequence[int],
    report: dict[str, Any],
) -> dict[str, Reference]:
    """Hugging Face's answers by variant, and what each adapter changes, for the report."""
    base = weight_digests(source.set(_base()))
    expected = {}
    for variant in variants:
        model = source.set(variant)
        if not variant.is_base:
            report["variants"][str(variant)]["adapter"] = {
                "declared_base": _declared_base(manifest.adapter(variant)),
                "changed": _check_changes(manifest, variant, base, weight_digests(model)),
                "weight_norm": abs(variant.scale) * delta_norm(source.factors(variant)),
            }
        expected[str(variant)] = read_reference(model, ids)
    source.set(_base())
    return expected


def _add_layers(
    report: dict[str, Any],
    expected: Reference,
    replacement: ReplacementModel,
    ids: Sequence[int],
) -> None:
    variant = str(replacement.variant)
    layers = check_layers(expected, replacement, ids, variant)
    report["variants"][variant]["layers"] = layers
    report["variants"][variant]["largest_activation"] = max(layer["max_activation"] for layer in layers)


def _declared_base(adapter: Source) -> str | None:
    """What the adapter says it was made for; a merged checkpoint says nothing."""
    return None if is_merged(adapter) else read_adapter_config(folder_of(adapter, "adapter")).base_model


def _check_changes(
    manifest: Manifest,
    variant: Variant,
    base: Mapping[str, str],
    adapted: Mapping[str, str],
) -> list[str]:
    """Weights differ from base in the adapter's targets only, and do differ (trap 6)."""
    changed = sorted(name.removesuffix(".weight") for name, digest in adapted.items() if digest != base[name])
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
    reference: Reference, replacement: ReplacementModel, ids: Sequence[int], variant: str
) -> dict[str, float]:
    """The replacement model's logits are Hugging Face's (trap 7), both in float32.

    Raises
    ------
    UserError
        They differ by more than `PARITY_TOLERANCE` of the largest logit.
    """
    expected = reference.logits
    got = replacement(torch.as_tensor([list(ids)], device=expected.device))[0].float()
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
    reference: Reference, replacement: ReplacementModel, ids: Sequence[int], variant: str
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
    streams = reference.streams
    tokens = torch.as_tensor([list(ids)], device=streams[0].device)
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
        expected = streams[layer]
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


def _base() -> Variant:
    return Variant(name="base", scale=0.0)
