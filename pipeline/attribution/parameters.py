"""Which parameters of ``graphs`` determine candidates, and which graphs."""

from typing import Final

CANDIDATE_PARAMS: Final = frozenset({"max_n_logits", "desired_logit_prob"})
"""Parameters of `pipeline.attribution.prompt_items.candidate_item`, as params.yaml calls them."""

GRAPH_PARAMS: Final = frozenset(
    {
        "max_feature_nodes",
        "batch_size",
        "adapter_components",
        "node_threshold",
        "edge_threshold",
        "keep_node_threshold",
        "keep_edges",
    }
)
"""Parameters of `pipeline.attribution.prompt_items.prompt_items`, as params.yaml calls them."""
