"""Total effects of features and extra sources: one pull back in which every active feature answers.

The sweep of `pipeline.attribution.exact_scores` knows the features that are nodes; where
others are active, what an adapter does through them would be missing (several percent when
a quarter of the features are nodes). Here the gradient of a logit also passes through each
active feature, as the line that it is: from its decoder to its encoder, its gate frozen open.
"""

from typing import NamedTuple

import torch
from circuit_tracer.attribution.targets import AttributionTargets

from pipeline.attribution.linear import FrozenModel
from pipeline.attribution.source_nodes import Block, Sources
from store.base.errors import PromptError


class TotalEffects(NamedTuple):
    """Effects on the logits, float32, centred logits, signed.

    Attributes
    ----------
    features
        (target, active feature), selected or not, in the order of `Sources.features`.
    extra
        (target, extra column).
    """

    features: torch.Tensor
    extra: torch.Tensor


def total_effects(frozen: FrozenModel, sources: Sources, targets: AttributionTargets) -> TotalEffects:
    """Effects of sources on the logits, along all paths through active features.

    The predicted effect of taking a source out is minus its number; DESIGN's
    D (I - M)^-1 with all active features, selected or not, in M.

    Parameters
    ----------
    frozen, sources
        The local replacement model, and what is in it.
    targets
        Logits.

    Returns
    -------
    TotalEffects
        Of every active feature, and of every extra source.

    Raises
    ------
    UserError
        An effect is not finite.
    """
    vectors = targets.logit_vectors.float()
    n_layers, last = len(frozen.layers), len(sources.tokens) - 1
    effects = vectors.new_zeros(len(vectors), sources.extra.n_columns)
    # Base has no extra sources in any layer.
    at_mlps, at_attentions = (
        each or [[]] * n_layers for each in (sources.extra.mlp, sources.extra.attention)
    )
    # What each active feature does to the logits, its value being `activations`.
    features = vectors.new_zeros(len(vectors), len(sources.features))

    def write(into: torch.Tensor, blocks: list[Block], gradient: torch.Tensor) -> None:
        for block in blocks:
            into[:, block.start : block.stop].addmm_(gradient[:, block.position], block.vectors.T)

    def at_mlp(layer: int, gradient: torch.Tensor) -> torch.Tensor:
        write(effects, at_mlps[layer], gradient)
        write(features, sources.blocks[layer], gradient)
        # Layers above are done, so what this layer's features do is final.
        through = torch.zeros_like(gradient)
        begin, end = sources.features_below[layer : layer + 2]
        slope = features[:, begin:end] / sources.activations[begin:end].float()
        counts = torch.bincount(sources.features[begin:end, 1], minlength=gradient.shape[1]).tolist()
        parts = zip(slope.split(counts, 1), sources.encoders[begin:end].split(counts), strict=True)
        for position, (at, encoders) in enumerate(parts):
            through[:, position] = at @ encoders
        return through

    def at_attention(layer: int, gradient: torch.Tensor) -> None:
        if layer < n_layers:
            write(effects, at_attentions[layer], gradient)

    frozen.pull_back(
        n_layers,
        torch.full((len(vectors),), last, device=vectors.device),
        vectors,
        at_mlp=at_mlp,
        at_attention=at_attention,
        at_embedding=lambda gradient: None,
    )
    if not (torch.isfinite(effects).all() and torch.isfinite(features).all()):
        raise PromptError(
            "Total effects are NaN or infinite; use dtype float32 in this profile.",
            layer=n_layers,
            position=last,
        )
    return TotalEffects(features=features, extra=effects)
