"""The collections of attribution graphs: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

GRAPHS: Final = CollectionSchema(
    kind="graphs",
    arrays={
        "token": array("position", "int32", "token id", "the prompt's token ids, BOS included"),
        "target_token": array("target", "int32", "token id", "attribution target"),
        "target_logit": array("target", "float32", "logits", "logit at the last position, same pass"),
        "target_centred_logit": array(
            "target",
            "float32",
            "logits",
            "logit minus the mean over the vocabulary, before softcap",
        ),
        "target_probability": array("target", "float32", "probability", "softmax in float32"),
        "target_is_candidate": array(
            "target", "bool", "", "whether the variant itself has it among its candidates"
        ),
        "active_layer": array("active", "int16", "layer", "active feature node: layer, 0-based"),
        "active_position": array("active", "int32", "position", "active feature node: position"),
        "active_feature": array("active", "int32", "feature", "active feature node: index in layer"),
        "active_value": array("active", "float32", "activation", "transcoder activation"),
        "active_selected": array("active", "bool", "", "whether it is a node of the full graph"),
        "direct": array(
            "target active", "float32", "logits", "direct effect A[target, active feature], signed"
        ),
        "node_kind": array("node", "int8", "code", "0 feature, 1 error, 2 token, 3 logit"),
        "node_layer": array("node", "int16", "layer", "-1 for tokens, n_layers for logits"),
        "node_position": array("node", "int32", "position", "token position"),
        "node_feature": array(
            "node",
            "int32",
            "feature or token id",
            "feature index; token id of token and logit nodes; -1",
        ),
        "node_value": array(
            "node",
            "float32",
            "activation or probability",
            "activation; probability of logits; else NaN",
        ),
        "node_influence": array(
            "node",
            "float64",
            "dimensionless",
            "unsigned influence on the probability-weighted logits",
        ),
        "node_cumulative": array(
            "node", "float64", "share", "share of influence of the nodes at least as influential"
        ),
        "node_default": array("node", "bool", "", "kept by circuit-tracer at the default thresholds"),
        "edge_target": array("edge", "int32", "node", "row into the node arrays"),
        "edge_source": array("edge", "int32", "node", "row into the node arrays"),
        "edge_weight": array("edge", "float32", "logits or pre-activation", "A[target, source], signed"),
        "edge_default": array("edge", "bool", "", "kept by circuit-tracer at the default thresholds"),
        **since(
            2,
            {
                "influence": array(
                    "target selected",
                    "float32",
                    "dimensionless",
                    "signed influence along all paths, [(I - N)^-1 - I][target, selected feature]",
                ),
                "total_effect": array(
                    "target selected", "float32", "logits", "direct effects composed along all paths"
                ),
                "row_unselected": array(
                    "row",
                    "float32",
                    "logits or pre-activation",
                    "what active features that are not selected add to the row",
                ),
                "row_constant": array(
                    "row",
                    "float32",
                    "logits or pre-activation",
                    "what the constant sources (biases, MLP output at BOS) add to the row",
                ),
                "target_error_share": array(
                    "target", "float32", "share", "|inputs from error nodes| / |all inputs| of the logit"
                ),
                "adapter_part": array("adapter", "int8", "code", "0 down, 1 hidden, 2 attention"),
                "adapter_layer": array("adapter", "int16", "layer", "adapter node: layer, 0-based"),
                "adapter_position": array("adapter", "int32", "position", "adapter node: position"),
                "adapter_component": array(
                    "adapter",
                    "int32",
                    "component",
                    "LoRA component of `down_proj`; -1: another part, or all components",
                ),
                "adapter_influence": array(
                    "adapter", "float64", "dimensionless", "unsigned, in the unit of `node_influence`"
                ),
                "adapter_direct": array(
                    "target adapter", "float32", "logits", "direct effect A[target, adapter node], signed"
                ),
                "adapter_edge_target": array("adapter_edge", "int32", "node", "row into the node arrays"),
                "adapter_edge_source": array(
                    "adapter_edge", "int32", "adapter node", "row into the adapter arrays"
                ),
                "adapter_edge_weight": array(
                    "adapter_edge", "float32", "logits or pre-activation", "A[target, source], signed"
                ),
            },
        ),
        **since(
            4,
            {
                "unselected_influence": array(
                    "target unselected",
                    "float32",
                    "dimensionless",
                    "signed influence of active features that are not selected, as sources: nothing "
                    "passes through them; rounded to 10 bits",
                ),
                "unselected_total_effect": array(
                    "target unselected",
                    "float32",
                    "logits",
                    "total effect of active features that are not selected; rounded to 10 bits",
                ),
                "target_unselected_share": array(
                    "target",
                    "float32",
                    "share",
                    "|inputs from unselected features| / |all inputs| of the logit: what `influence` leaves "
                    "out",
                ),
            },
        ),
    },
    scalars={
        "n_layers": array("", "int32", "layers", "layers of the model"),
        "n_selected": array("", "int32", "nodes", "feature nodes in the full graph"),
        "n_nodes": array("", "int32", "nodes", "nodes in the full graph"),
        "n_edges": array("", "int64", "edges", "non-zero entries of the full adjacency"),
        "replacement_score": array("", "float64", "share", "token influence / (token + error influence)"),
        "completeness_score": array("", "float64", "share", "influence-weighted share of non-error inputs"),
        "kept_node_influence": array("", "float64", "share", "influence of kept nodes / of all nodes"),
        "kept_edge_score": array(
            "",
            "float64",
            "share",
            "edge score kept / of all edges among the kept nodes; 1 is exact pruning",
        ),
    },
)

FULL_GRAPHS: Final = CollectionSchema(
    kind="full_graphs",
    arrays={
        "data": array("entry", "float32", "logits or pre-activation", "non-zero A[target, source], CSR"),
        "indices": array("entry", "int32", "node", "source (column) of each entry, CSR"),
        "indptr": array("row", "int64", "entry", "row starts, CSR; n_nodes + 1 long"),
    },
    scalars={},
)
"""Lossless adjacency in circuit-tracer's node order; nodes are in the graph of the same item."""
