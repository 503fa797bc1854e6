"""From circuit-tracer's graph to the store's items and back, to the bit."""

import numpy as np
import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.graph import Graph

from pipeline.attribution.graph_items import graph_items
from pipeline.attribution.trace import Trace
from pipeline.exchange.graph_metadata import Facts
from pipeline.params.graphs import GraphParams
from store.base.hashing import bytes_digest, digest
from store.collections.item import Item


def rebuild(item: Item, full: Item, facts: Facts) -> Graph:
    """circuit-tracer's graph, equal in every tensor's bits, shape and dtype.

    Parameters
    ----------
    item, full
        Items of the schemas ``graphs`` and ``full_graphs``, of one prompt and variant.
    facts
        What they do not hold.
    """
    arrays = item.arrays
    n_nodes = int(item.scalars["n_nodes"])
    adjacency = np.zeros((n_nodes, n_nodes), dtype=np.float32)
    rows = np.repeat(np.arange(n_nodes), np.diff(full.arrays["indptr"]))
    adjacency[rows, full.arrays["indices"]] = full.arrays["data"]
    active = np.stack([arrays[f"active_{name}"] for name in ("layer", "position", "feature")], 1)
    targets = zip(facts.target_words, arrays["target_token"].tolist(), strict=True)
    return Graph(
        input_string=facts.input_string,
        input_tokens=torch.from_numpy(arrays["token"].astype(np.int64)),
        active_features=torch.from_numpy(active.astype(np.int64)),
        adjacency_matrix=torch.from_numpy(adjacency),
        cfg=facts.config,
        selected_features=torch.from_numpy(np.flatnonzero(arrays["active_selected"])),
        activation_values=torch.tensor(arrays["active_value"]).to(facts.value_dtype),
        logit_targets=[LogitTarget(token_str=text, vocab_idx=token) for text, token in targets],
        logit_probabilities=torch.tensor(arrays["target_probability"]).to(facts.probability_dtype),
        scan=list(facts.scan) if isinstance(facts.scan, tuple) else facts.scan,
        vocab_size=facts.vocab_size,
    )


def items_of(
    graph: Graph, *, key: str, prompt_hash: str, variant: str, params: GraphParams
) -> tuple[Item, Item]:
    """Items of a graph that came without its model.

    What only a forward pass knows is NaN: the targets' logits, the direct effects of
    features that are not selected, and what these and constant sources add to a row. A
    target counts as the variant's own candidate by the profile's rule, applied to the
    targets' probabilities.

    Parameters
    ----------
    graph
        Checked, as `reading.read_graph` gives it.
    key, prompt_hash, variant
        Of the items.
    params
        What is shown first, what is kept, and the rule of candidates.

    Returns
    -------
    graph, full_graph
        Items of the schemas ``graphs`` and ``full_graphs``.
    """
    rule = params.model_dump(
        include={"node_threshold", "edge_threshold", "keep_node_threshold", "keep_edges"}
    )
    item, _ = graph_items(
        _trace_of(graph),
        own_candidates=_candidates(graph, params),
        key=key,
        prompt_hash=prompt_hash,
        variant=variant,
        **rule,
    )
    full = Item(
        key=key,
        prompt_hash=prompt_hash,
        variant=variant,
        arrays=_compressed(graph.adjacency_matrix.numpy()),
        scalars={},
    )
    return item, full


def content_digest(graph: Graph) -> str:
    """Digest of all that a graph holds, 64 hex digits."""
    whole: dict[str, object] = {}
    for name, value in sorted(vars(graph).items()):
        if isinstance(value, torch.Tensor):
            whole[name] = [str(value.dtype), list(value.shape), bytes_digest(_bytes(value))]
        else:
            whole[name] = repr(value)
    return digest(whole)


def _trace_of(graph: Graph) -> Trace:
    n_logits, n_selected = len(graph.logit_targets), len(graph.selected_features)
    direct = torch.full((n_logits, len(graph.active_features)), torch.nan)
    direct[:, graph.selected_features] = graph.adjacency_matrix[-n_logits:, :n_selected]
    unknown = torch.full((int(graph.logit_token_ids.max()) + 1,), torch.nan)
    rows = torch.full((n_selected + n_logits,), torch.nan)
    complete = n_selected == len(graph.active_features)
    return Trace(
        graph=graph,
        logits=unknown,
        raw_logits=unknown,
        direct=direct,
        unselected=torch.zeros_like(rows) if complete else rows,
        constant=rows,
    )


def _candidates(graph: Graph, params: GraphParams) -> list[int]:
    """The targets that circuit-tracer's rule would choose among them, most probable first."""
    probabilities = graph.logit_probabilities.float()
    top, order = torch.sort(probabilities, descending=True, stable=True)
    reached = int(torch.searchsorted(torch.cumsum(top, 0), params.desired_logit_prob)) + 1
    return graph.logit_token_ids[order[: min(reached, params.max_n_logits)]].tolist()


def _compressed(adjacency: np.ndarray) -> dict[str, np.ndarray]:
    """CSR of every entry whose bits are not all zero: -0.0 is one of them."""
    target, source = np.nonzero(adjacency.view(np.int32))
    rows = np.bincount(target, minlength=len(adjacency))
    return {
        "data": adjacency[target, source],
        "indices": source.astype(np.int32),
        "indptr": np.concatenate([[0], np.cumsum(rows)]).astype(np.int64),
    }


def _bytes(tensor: torch.Tensor) -> bytes:
    # One number out of many keeps its stride, and counts as contiguous.
    flat = tensor.contiguous().as_strided((tensor.numel(),), (1,))
    # bfloat16 has no numpy dtype; its bytes have.
    return flat.view(torch.uint8).numpy().tobytes()
