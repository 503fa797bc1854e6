"""What the store keeps of adapter nodes: beside a graph, and what the adapter writes to."""

import numpy as np
import torch

from pipeline.analysis.pruning import find_threshold
from pipeline.analysis.sparse_graph import SparseGraph
from pipeline.attribution.paired import AdapterTrace
from pipeline.attribution.trace import Trace
from store.collections.item import Item
from store.schema.vocabulary import ADAPTER_PARTS, CAUSES


def adapter_arrays(
    trace: Trace,
    graph: SparseGraph,
    influence: np.ndarray,
    kept: np.ndarray,
    *,
    share: float,
    limit: int,
) -> dict[str, np.ndarray]:
    """Adapter nodes of a graph, and their strongest edges to the nodes that are kept.

    Parameters
    ----------
    trace
        A variant's; base has no adapter nodes.
    graph
        Its nodes and edges, errors unsplit.
    influence
        Of its nodes, as `pipeline.analysis.pruning.node_influence` gives it.
    kept
        Which of its nodes the artifact keeps; (n_nodes,) bool.
    share, limit
        Edges are kept until they hold this share of the scores of all of them, at most so many.

    Returns
    -------
    dict of numpy.ndarray
        The arrays ``adapter_*`` of `store.schema.graphs.GRAPHS`.
    """
    n_targets = len(trace.direct)
    if trace.adapters is None:
        part = layer = position = component = np.zeros(0, np.int64)
        edges = np.zeros((len(trace.constant), 0), np.float32)
    else:
        nodes = trace.adapters.nodes
        part, layer, position, component = nodes.part, nodes.layer, nodes.position, nodes.component
        edges = trace.adapters.edges.numpy()
    n_rows = len(edges)
    # Rows are the selected features, then the logits: the first nodes and the last.
    row_node = np.concatenate(
        [np.arange(n_rows - n_targets), graph.n_nodes - n_targets + np.arange(n_targets)]
    )
    size = graph.size
    output = (influence + graph.logit_weight)[row_node]
    scores = np.abs(edges.astype(np.float64)) * (output / np.maximum(size[row_node], 1e-10))[:, None]
    inside = np.where(kept[row_node][:, None], scores, 0.0).ravel()
    strongest = np.flatnonzero((inside >= find_threshold(inside[inside > 0], share)) & (inside > 0))
    strongest = np.sort(strongest[np.argsort(-inside[strongest], kind="stable")[:limit]])
    row, source = np.divmod(strongest, max(edges.shape[1], 1))
    return {
        "adapter_part": part.astype(np.int8),
        "adapter_layer": layer.astype(np.int16),
        "adapter_position": position.astype(np.int32),
        "adapter_component": component.astype(np.int32),
        "adapter_influence": scores.sum(0),
        "adapter_direct": edges[n_rows - n_targets :].astype(np.float32),
        "adapter_edge_target": (np.cumsum(kept) - 1)[row_node[row]].astype(np.int32),
        "adapter_edge_source": source.astype(np.int32),
        "adapter_edge_weight": edges[row, source].astype(np.float32),
    }


def causes(trace: Trace) -> np.ndarray:
    """What each kind of source adds to the centred logits of one variant.

    Returns
    -------
    numpy.ndarray
        (target, cause) float64, logits, causes as in `store.schema.vocabulary.CAUSES`. They sum up to
        the centred logit; the adapter's part in the MLPs is taken out of the errors.
    """
    graph = trace.graph
    n_targets, n_selected = len(trace.direct), len(graph.selected_features)
    n_errors = int(graph.cfg.n_layers) * len(graph.input_tokens)
    rows = graph.adjacency_matrix[-n_targets:].double()
    parts = np.zeros((n_targets, len(CAUSES)))
    if trace.adapters is not None:
        edges = trace.adapters.edges[-n_targets:].double().numpy()
        for code, name in enumerate(ADAPTER_PARTS):
            parts[:, CAUSES.index(f"adapter_{name}")] = edges[:, trace.adapters.nodes.part == code].sum(1)
    in_errors = parts[:, [CAUSES.index("adapter_down"), CAUSES.index("adapter_hidden")]].sum(1)
    features = rows[:, :n_selected].sum(1) + trace.unselected[-n_targets:].double()
    error = rows[:, n_selected : n_selected + n_errors].sum(1)
    token = rows[:, n_selected + n_errors : -n_targets].sum(1)
    parts[:, CAUSES.index("feature")] = features.numpy()
    parts[:, CAUSES.index("error")] = error.numpy() - in_errors
    parts[:, CAUSES.index("token")] = token.numpy()
    parts[:, CAUSES.index("constant")] = trace.constant[-n_targets:].double().numpy()
    return parts


def adapter_item(pair: AdapterTrace, *, key: str, prompt_hash: str, variant: str) -> Item:
    """Item of the collection of adapters; see `store.schema.adapters.ADAPTERS`."""
    trace = pair.adapted
    graph, adapters = trace.graph, trace.adapters
    if adapters is None:
        raise ValueError("an adapted variant has adapter nodes, none or more")
    n_targets = len(trace.direct)
    ids = graph.logit_token_ids
    chosen = graph.selected_features
    layer, position, feature = graph.active_features[chosen].numpy().T
    values = graph.activation_values[chosen].float()
    change = causes(trace) - causes(pair.base)
    size = np.abs(change)
    nodes, edges = adapters.nodes, adapters.edges.double().numpy()
    origins, origin_of = np.unique(
        np.stack([nodes.part.astype(np.int64), nodes.layer.astype(np.int64)], 1), axis=0, return_inverse=True
    )
    written = np.zeros((len(origins), len(chosen)))
    np.add.at(written, origin_of, edges[: len(chosen)].T)
    return Item(
        key=key,
        prompt_hash=prompt_hash,
        variant=variant,
        arrays={
            "token": graph.input_tokens.numpy().astype(np.int32),
            "target_token": ids.numpy().astype(np.int32),
            "target_centred_change": (_centred(trace.raw_logits, ids) - _centred(pair.base.raw_logits, ids))
            .numpy()
            .astype(np.float32),
            "change": change.astype(np.float32),
            "target_pattern_change": (_centred(trace.raw_logits, ids) - _centred(pair.without_patterns, ids))
            .numpy()
            .astype(np.float32),
            "source_part": nodes.part,
            "source_layer": nodes.layer,
            "source_position": nodes.position,
            "source_component": nodes.component,
            "source_direct": edges[len(edges) - n_targets :].astype(np.float32),
            "source_total_effect": adapters.total_effect.numpy(),
            "write_layer": layer.astype(np.int16),
            "write_position": position.astype(np.int32),
            "write_feature": feature.astype(np.int32),
            "write_value": values.numpy(),
            "write": written.astype(np.float32),
            "origin_part": origins[:, 0].astype(np.int8),
            "origin_layer": origins[:, 1].astype(np.int16),
        },
        scalars={
            "error_share_of_change": float(
                np.mean(size[:, CAUSES.index("error")] / np.maximum(size.sum(1), 1e-30))
            )
        },
    )


def _centred(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Logits minus the vocabulary's mean, before any softcap; (len(ids),) float64."""
    return logits.double()[ids] - logits.double().mean()
