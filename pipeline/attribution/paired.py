"""Several variants of one prompt, traced on one target set and one node set.

A feature is a node of every variant in which it is active if it was selected in any: what
one graph has and the other lacks is then inactive there, and never fell outside a top-k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from transformer_lens.hook_points import HookPoint

from pipeline.attribution.adapter_nodes import split_errors, through_base
from pipeline.attribution.engine import Attribution
from pipeline.attribution.room import require_room
from pipeline.attribution.threads import fitting_threads
from pipeline.attribution.trace import Trace, Tracing, as_tensor, observe
from pipeline.attribution.weights import projections
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.documents.variants import BASE

_MAX_FEATURES: Final = 2**32


@dataclass(frozen=True, kw_only=True)
class AdapterTrace:
    """What an adapter does on a prompt, from the attention mode.

    Attributes
    ----------
    base, adapted
        The ordinary graph of base, and the adapted variant's in the attention mode: its edges
        pass through the base's values and outputs, its row totals are the ordinary ones.
    without_patterns
        Logits before any softcap of the adapted model with the base's attention patterns;
        (vocab,) float32.
    """

    base: Trace
    adapted: Trace
    without_patterns: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Together:
    """All variants of one prompt.

    Attributes
    ----------
    traces
        By variant, in the order asked for.
    adapters
        By adapted variant.
    """

    traces: dict[str, Trace]
    adapters: dict[str, AdapterTrace]


@torch.no_grad()
def trace_together(
    pool: ModelPool,
    token_ids: Sequence[int],
    variants: Sequence[str],
    targets: Sequence[int],
    *,
    max_feature_nodes: int,
    batch_size: int,
    max_components: int,
    attention: bool = True,
) -> Together:
    """Trace a prompt in several variants.

    Parameters
    ----------
    pool
        Models; set to each variant in turn.
    token_ids, targets, max_feature_nodes, batch_size
        As for `pipeline.attribution.trace.trace`; the union of what the variants select may
        be larger than `max_feature_nodes`.
    variants
        Names, base among them if adapters are to be compared with it.
    max_components
        Adapters on ``down_proj`` of a higher rank have one node a layer and position.
    attention
        Whether adapted variants are traced in the attention mode, too, for `Together.adapters`.

    Raises
    ------
    UserError
        Something is not finite (the message says where), or there is no room for all of it.
    """
    with fitting_threads(pool.replacement(BASE)):
        base = projections(pool.replacement(BASE))
        begun: dict[str, _Begun] = {}
        # Base first: the others are compared with its attention patterns.
        for variant in sorted(variants, key=lambda variant: variant != BASE):
            model = pool.replacement(variant)
            seen, sources = observe(model, token_ids)
            if variant == BASE:
                tracing = Tracing(model, seen, seen.frozen, sources, None, targets, batch_size=batch_size)
                begun[variant] = _Begun(tracing=tracing)
            else:
                split = partial(
                    split_errors,
                    model,
                    seen,
                    sources,
                    base=base,
                    factors=pool.factors(variant),
                    scale=pool.manifest.variant(variant).scale,
                    max_components=max_components,
                )
                begin = partial(Tracing, model, seen)
                tracing = begin(seen.frozen, *split(attention=False), targets, batch_size=batch_size)
                begun[variant] = _Begun(tracing=tracing)
                if attention and BASE in begun:
                    frozen = through_base(model, seen.frozen, base)
                    begun[variant].attention = begin(
                        frozen, *split(attention=True), targets, batch_size=batch_size
                    )
                    patterns = begun[BASE].tracing.seen.patterns
                    begun[variant].without_patterns = logits_with_patterns(model, token_ids, patterns)
            if len(begun) == 1:
                require_room(tracing.attribution, max_feature_nodes, len(variants), attention=attention)
            tracing.attribution.select(max_feature_nodes)
        _unite([each.tracing.attribution for each in begun.values()])
        traces, adapters = {}, {}
        for variant in list(begun):
            each = begun.pop(variant)  # its rows are dense: what is done with is let go of at once
            traces[variant] = each.tracing.finish()
            if each.attention is not None and each.without_patterns is not None:
                each.attention.attribution.add(each.tracing.attribution.visited.nonzero().squeeze(1))
                adapters[variant] = AdapterTrace(
                    base=traces[BASE],
                    adapted=each.attention.finish(),
                    without_patterns=each.without_patterns.cpu(),
                )
        return Together(traces={variant: traces[variant] for variant in variants}, adapters=adapters)


def logits_with_patterns(
    model: ReplacementModel, token_ids: Sequence[int], patterns: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Logits before any softcap, at the last position, with given attention patterns.

    Parameters
    ----------
    model, token_ids
        A variant and a prompt.
    patterns
        By layer, (n_heads, n_pos, n_pos): those of another variant on this prompt.

    Returns
    -------
    torch.Tensor
        (vocab,) float32.
    """
    last: list[torch.Tensor] = []

    def grab(logits: torch.Tensor, hook: HookPoint) -> None:
        last.append(logits[0, -1].float())

    def give(pattern: torch.Tensor, hook: HookPoint) -> torch.Tensor:
        layer: int = hook.layer()
        return patterns[layer][None].to(pattern.dtype)

    hooks = [(f"blocks.{layer}.attn.hook_pattern", give) for layer in range(len(patterns))]
    model.run_with_hooks(as_tensor(model, token_ids), fwd_hooks=[*hooks, ("unembed.hook_post", grab)])
    return last[0]


def _unite(attributions: Sequence[Attribution]) -> None:
    """Add to each the features that any other selected and that are active in it, too."""
    keys = [_keys(attribution) for attribution in attributions]
    union = torch.cat([key[each.visited] for key, each in zip(keys, attributions, strict=True)]).unique()
    for key, each in zip(keys, attributions, strict=True):
        each.add(torch.isin(key, union).nonzero().squeeze(1))


def _keys(attribution: Attribution) -> torch.Tensor:
    """One number for (layer, position, feature); an index is another feature in every graph."""
    layer, position, feature = attribution.sources.features.T
    n_pos = len(attribution.sources.tokens)
    keys: torch.Tensor = (layer * n_pos + position) * _MAX_FEATURES + feature
    return keys


@dataclass(kw_only=True)
class _Begun:
    """One variant under way; of an adapted one, the attention mode, too."""

    tracing: Tracing
    attention: Tracing | None = None
    without_patterns: torch.Tensor | None = None
