"""From one variant and one prompt to the items that the stage `graphs` collects."""

from collections.abc import Sequence

import numpy as np

from pipeline.attribution import candidates, trace
from pipeline.execution import Request
from pipeline.graph_items import graph_items
from pipeline.models.replacement import ReplacementModel
from store.items import Item


def candidate_item(
    model: ReplacementModel,
    token_ids: Sequence[int],
    request: Request,
    *,
    max_n_logits: int,
    desired_logit_prob: float,
) -> Item:
    """The candidates of a prompt, as an item of the schema ``candidates``."""
    ids, probabilities = candidates(
        model, token_ids, max_n_logits=max_n_logits, desired_logit_prob=desired_logit_prob
    )
    return Item(
        key=request.key,
        prompt_hash=request.prompt_hash,
        variant=request.variant,
        arrays={
            "candidate_token": ids.numpy().astype(np.int32),
            "candidate_probability": probabilities.numpy(),
        },
        scalars={},
    )


def traced_items(
    model: ReplacementModel,
    token_ids: Sequence[int],
    request: Request,
    *,
    targets: Sequence[int],
    own_candidates: Sequence[int],
    max_feature_nodes: int,
    batch_size: int,
    node_threshold: float,
    edge_threshold: float,
    keep_node_threshold: float,
    keep_edges: int,
) -> tuple[Item, Item]:
    """The graph of a prompt and its full adjacency; see `trace` and `graph_items`."""
    traced = trace(
        model,
        token_ids,
        targets,
        max_feature_nodes=max_feature_nodes,
        batch_size=batch_size,
    )
    return graph_items(
        traced,
        own_candidates=own_candidates,
        key=request.key,
        prompt_hash=request.prompt_hash,
        variant=request.variant,
        node_threshold=node_threshold,
        edge_threshold=edge_threshold,
        keep_node_threshold=keep_node_threshold,
        keep_edges=keep_edges,
    )
