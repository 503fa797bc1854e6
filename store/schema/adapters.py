"""The collection of what an adapter writes to: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, array, since

ADAPTERS: Final = CollectionSchema(
    kind="adapters",
    arrays=since(
        2,
        {
            "token": array("position", "int32", "token id", "the prompt's token ids, BOS included"),
            "target_token": array("target", "int32", "token id", "attribution target"),
            "target_centred_change": array(
                "target", "float32", "logits", "centred logit, adapted minus base"
            ),
            "change": array("target cause", "float32", "logits", "the change by cause, adapted minus base"),
            "target_pattern_change": array(
                "target",
                "float32",
                "logits",
                "adapted minus adapted with base's attention patterns: the share of q and k",
            ),
            "source_part": array("source", "int8", "code", "0 down, 1 hidden, 2 attention"),
            "source_layer": array("source", "int16", "layer", "adapter node: layer, 0-based"),
            "source_position": array("source", "int32", "position", "adapter node: position"),
            "source_component": array(
                "source",
                "int32",
                "component",
                "LoRA component of `down_proj`; -1: another part, or all components",
            ),
            "source_direct": array(
                "target source", "float32", "logits", "direct effect A[target, adapter node], signed"
            ),
            "source_total_effect": array(
                "target source",
                "float32",
                "logits",
                "direct effects composed along all paths through active features, selected or not",
            ),
            "write_layer": array("write", "int16", "layer", "feature written to: layer, 0-based"),
            "write_position": array("write", "int32", "position", "feature written to: position"),
            "write_feature": array("write", "int32", "feature", "feature written to: index in layer"),
            "write_value": array("write", "float32", "activation", "its activation in the adapted model"),
            "write": array(
                "origin write",
                "float32",
                "pre-activation",
                "direct effects of an origin's adapter nodes on the feature, summed, signed",
            ),
            "origin_part": array("origin", "int8", "code", "0 down, 1 hidden, 2 attention"),
            "origin_layer": array("origin", "int16", "layer", "layer of these adapter nodes, 0-based"),
        },
    ),
    scalars=since(
        2,
        {
            "error_share_of_change": array(
                "",
                "float64",
                "share",
                "|change by error| / sum over causes of |change by cause|, mean over targets",
            ),
        },
    ),
)
"""What the adapter writes to; attention propagates through the base's value and output weights."""
