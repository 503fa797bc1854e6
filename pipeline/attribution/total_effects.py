"""Scores along all paths of every active feature: one pull back in which features answer.

The sweep of `pipeline.attribution.exact_scores` knows the features that are nodes; where
others are active, what an adapter does through them would be missing (several percent when
a quarter of the features are nodes), and so would their own scores. Here the gradient of a logit
also passes through active features, each as the line that it is: from its decoder to its encoder.
"""

from typing import NamedTuple

import torch
from circuit_tracer.graph import Graph

from pipeline.attribution.exact_scores import SMALLEST_ROW
from pipeline.attribution.linear import FrozenModel
from pipeline.attribution.source_nodes import Block, Sources
from store.base.errors import PromptError


class PathEffects(NamedTuple):
    """What sources do to the logits along all paths, float32, signed.

    Attributes
    ----------
    features
        (target, active feature), selected or not, in the order of `Sources.features`.
    extra
        (target, extra column).
    """

    features: torch.Tensor
    extra: torch.Tensor


def total_effects(frozen: FrozenModel, sources: Sources, vectors: torch.Tensor) -> PathEffects:
    """Effects of sources on the logits, along all paths through active features.

    The predicted effect of taking a source out is minus its number; DESIGN's
    D (I - M)^-1 with all active features, selected or not, in M.

    Parameters
    ----------
    frozen, sources
        The local replacement model, and what is in it.
    vectors
        What each logit is read with; (target, d_model).

    Returns
    -------
    PathEffects
        In logits; of every active feature, and of every extra source.

    Raises
    ------
    UserError
        An effect is not finite.
    """
    return _along_paths(frozen, sources, vectors.float(), sources.activations.float())


def unselected_influence(
    frozen: FrozenModel, sources: Sources, vectors: torch.Tensor, graph: Graph
) -> torch.Tensor:
    """Signed influence of the active features that are no nodes of a graph, as sources.

    [(I - N)^-1 - I][target, feature], where N's rows are the graph's: what is no node has no row, so
    that nothing passes through it, and its inputs do not count where a row is scaled to 1.

    Parameters
    ----------
    frozen, sources, vectors
        As for `total_effects`.
    graph
        Made of them.

    Returns
    -------
    torch.Tensor
        (target, unselected feature) float32, dimensionless.
    """
    selected = graph.selected_features.to(vectors.device)
    others = torch.ones(len(sources.features), dtype=torch.bool, device=vectors.device)
    others[selected] = False
    if not others.any():
        return vectors.new_zeros(len(vectors), 0, dtype=torch.float32)
    sizes = torch.linalg.vector_norm(graph.adjacency_matrix, ord=1, dim=1).clamp(min=SMALLEST_ROW)
    size = vectors.new_full((len(others),), torch.inf, dtype=torch.float32)
    size[selected] = sizes[: len(selected)].to(size)
    of_targets = sizes[-len(vectors) :, None].to(size)
    return _along_paths(frozen, sources, vectors.float() / of_targets, size).features[:, others]


def _along_paths(
    frozen: FrozenModel, sources: Sources, vectors: torch.Tensor, size: torch.Tensor
) -> PathEffects:
    """What reaches each source, if a feature passes on what reaches it over its `size`, (active,)."""
    n_layers, last = len(frozen.layers), len(sources.tokens) - 1
    effects = vectors.new_zeros(len(vectors), sources.extra.n_columns)
    # Base has no extra sources in any layer.
    at_mlps, at_attentions = (
        each or [[]] * n_layers for each in (sources.extra.mlp, sources.extra.attention)
    )
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
        slope = features[:, begin:end] / size[begin:end]
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
            "Effects along paths are NaN or infinite; use dtype float32 in this profile.",
            layer=n_layers,
            position=last,
        )
    return PathEffects(features=features, extra=effects)
