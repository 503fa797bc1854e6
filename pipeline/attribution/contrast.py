"""What decides between two tokens: effects on the difference of their logits, as one target.

All but influence is linear in the targets, so that it equals the difference of both tokens' rows; influence
scales every row to 1, and the difference has a row of its own. Which features become nodes is decided by
their influence on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from circuit_tracer.attribution.targets import AttributionTargets, CustomTarget
from circuit_tracer.graph import Graph

from pipeline.attribution.active_arrays import to_numpy
from pipeline.attribution.assemble import assemble, gather
from pipeline.attribution.engine import Attribution
from pipeline.attribution.exact_scores import NodeOrder, exact_scores
from pipeline.attribution.linear import FrozenModel
from pipeline.attribution.source_nodes import Sources
from pipeline.attribution.threads import fitting_threads
from pipeline.attribution.total_effects import total_effects, unselected_influence
from pipeline.attribution.trace import observe
from pipeline.models.replacement import ReplacementModel

_NAME: Final = "right minus wrong"
_PARTS: Final = 32


@dataclass(frozen=True, kw_only=True)
class ContrastTrace:
    """Effects on the right token's centred logit minus the wrong one's, at the last position.

    Attributes
    ----------
    graph
        circuit-tracer's, whose one logit is the contrast.
    sources
        All that its rows are made of.
    logits
        Of both tokens, after any softcap, (2,) float32.
    direct, total_effect, influence
        Of every active feature, (active,) float32: logits, logits, dimensionless. Through what is no node
        nothing passes in `influence`.
    token_direct, token_total_effect, token_influence
        Of every token's embedding, (position,), likewise.
    error_direct, error_total_effect
        Of all error nodes together, logits.
    """

    graph: Graph
    sources: Sources
    logits: np.ndarray
    direct: np.ndarray
    total_effect: np.ndarray
    influence: np.ndarray
    token_direct: np.ndarray
    token_total_effect: np.ndarray
    token_influence: np.ndarray
    error_direct: float
    error_total_effect: float


@torch.no_grad()
def trace_contrast(
    model: ReplacementModel,
    token_ids: Sequence[int],
    right: int,
    wrong: int,
    *,
    max_feature_nodes: int,
    batch_size: int,
) -> ContrastTrace:
    """Trace one prompt.

    Parameters
    ----------
    model
        Replacement model of the variant.
    token_ids
        Of all that stands before the decision, the first one a special token.
    right, wrong
        Token ids.
    max_feature_nodes
        At most so many features become nodes.
    batch_size
        At most so many rows at a time.

    Raises
    ------
    PromptError
        A number is not finite; the message says where. The prompt has no token behind its first.
    """
    with fitting_threads(model):
        seen, sources = observe(model, token_ids)
        make = partial(
            AttributionTargets, logits=seen.logits, unembed_proj=model.unembed_proj, tokenizer=model.tokenizer
        )
        pair = torch.tensor([right, wrong], device=seen.logits.device)
        both = make(pair).logit_vectors.float()
        target = make([CustomTarget(_NAME, 1.0, both[0] - both[1])])
        attribution = Attribution(seen.frozen, sources, target, batch_size=batch_size)
        attribution.select(max_feature_nodes)
        graph = assemble(attribution, model, seen.token_ids)
        vector = target.logit_vectors
        features = total_effects(seen.frozen, sources, vector).features
        tokens, errors = _along_paths_of_others(seen.frozen, sources, vector.float(), features[0])
        exact = exact_scores(
            graph.adjacency_matrix, graph.activation_values[graph.selected_features], NodeOrder.of(graph)
        )
        influence = np.empty(len(sources.features), np.float32)
        selected = graph.selected_features.numpy()
        influence[selected] = exact.features.influence[0]
        others = np.ones(len(influence), bool)
        others[selected] = False
        influence[others] = to_numpy(unselected_influence(seen.frozen, sources, vector, graph)[0], np.float32)
        return ContrastTrace(
            graph=graph,
            sources=sources,
            logits=to_numpy(seen.logits[pair], np.float32),
            direct=to_numpy(gather(attribution).direct[0], np.float32),
            total_effect=to_numpy(features[0], np.float32),
            influence=influence,
            token_direct=exact.tokens.direct[0].astype(np.float32),
            token_total_effect=to_numpy(tokens, np.float32),
            token_influence=exact.tokens.influence[0].astype(np.float32),
            error_direct=float(exact.errors.direct.sum()),
            error_total_effect=errors,
        )


def strongest_edges(graph: Graph, into: int, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each feature node's strongest edges from feature nodes.

    Parameters
    ----------
    graph
        Whose.
    into
        At most so many a target.
    least
        Smallest absolute weight, pre-activation.

    Returns
    -------
    target, source, weight
        (edge,) int32, int32, float32: active features by their number, by target, then source.
    """
    selected = graph.selected_features.numpy()
    weights = graph.adjacency_matrix[: len(selected), : len(selected)].numpy()
    target, source = strongest(weights, into, least)
    return (
        selected[target].astype(np.int32),
        selected[source].astype(np.int32),
        weights[target, source],
    )


def strongest(weights: np.ndarray, into: int, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Places of each row's strongest weights, ties with the last of them included.

    Parameters
    ----------
    weights
        (target, source) float32.
    into
        At most so many a target, but for ties; 1 or more.
    least
        Smallest absolute weight; 0 is none, whatever this is.

    Returns
    -------
    target, source
        (edge,) int64, by target, then source.
    """
    size = np.abs(weights)
    bar = np.maximum(_lower_bound(size, into), max(least, float(np.finfo(np.float32).tiny)))
    target, source = np.divmod(np.flatnonzero(size >= bar[:, None]), max(size.shape[1], 1))
    # Few are left of a row, by target: the bar is the last of the strongest, and ties with it stay.
    rest = size[target, source]
    strongest_first = rest[np.lexsort((-rest, target))]
    first, end = np.searchsorted(target, [target, target + 1])
    kept = rest >= strongest_first[np.minimum(first + into, end) - 1]
    return target[kept], source[kept]


def _lower_bound(size: np.ndarray, n: int) -> np.ndarray:
    """(row,) numbers that at least n of a row reach, close to its n-th largest; 0 of rows too short to tell.

    The n-th largest of maxima of disjoint parts of the row is such a number, and takes a quarter of the time
    that sorting takes.
    """
    n_parts = max(_PARTS, 2 * n)
    length = size.shape[1] // n_parts
    if not length:
        return np.zeros(len(size), size.dtype)
    maxima = size[:, : n_parts * length].reshape(len(size), length, n_parts).max(axis=1)
    bound: np.ndarray = np.partition(maxima, -n, axis=1)[:, -n]
    return bound


def _along_paths_of_others(
    frozen: FrozenModel, sources: Sources, vector: torch.Tensor, features: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """What tokens, (position,), and all errors together do to a target along all paths.

    Parameters
    ----------
    vector
        What the target is read with, (1, d_model).
    features
        What active features do to it along all paths, (active,).
    """
    last = len(sources.tokens) - 1
    slope = features / sources.activations.float()
    tokens: list[torch.Tensor] = []
    errors: list[torch.Tensor] = []

    def at_mlp(layer: int, gradient: torch.Tensor) -> torch.Tensor:
        errors.append((gradient[0] * sources.errors[layer]).sum())
        begin, end = sources.features_below[layer : layer + 2]
        through = torch.zeros_like(gradient)
        here = slope[begin:end, None] * sources.encoders[begin:end]
        through[0].index_add_(0, sources.features[begin:end, 1], here)
        return through

    def at_embedding(gradient: torch.Tensor) -> None:
        written = frozen.layers[0].written(sources.tokens)  # (position, d_model, token)
        tokens.append(gradient[0].flatten() @ written.flatten(0, 1))

    frozen.pull_back(
        len(frozen.layers),
        torch.tensor([last], device=vector.device),
        vector,
        at_mlp=at_mlp,
        at_attention=lambda layer, gradient: None,
        at_embedding=at_embedding,
    )
    return tokens[0], float(torch.stack(errors).sum())
