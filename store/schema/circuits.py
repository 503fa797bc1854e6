"""Circuits of behaviours: which features answer, the same over prompts, every array."""

from typing import Final

from store.schema.specs import CollectionSchema, DatasetSchema, array, since

_OVER = "mean over groups of train prompts, 0 where inactive"
_CELL = "variant behaviour"
_OF = {
    "variant": array("row", "str", "", "whose weights"),
    "behaviour": array("row", "str", "", "which one"),
}


BEHAVIOUR_GRAPHS: Final = CollectionSchema(
    kind="behaviour_graphs",
    arrays=since(
        9,
        {
            "token": array("position", "int32", "token id", "prompt and shared tokens of its answers"),
            "target_token": array("target", "int32", "token id", "at the decision: right, then wrong"),
            "target_logit": array("target", "float32", "logits", "logit at the last position, same pass"),
            "active_layer": array("active", "int16", "layer", "active feature node: layer, 0-based"),
            "active_position": array("active", "int32", "position", "active feature node: position"),
            "active_feature": array("active", "int32", "feature", "active feature node: index in layer"),
            "active_value": array("active", "float32", "activation", "transcoder activation"),
            "direct": array(
                "active", "float32", "logits", "direct effect on the contrast, right minus wrong"
            ),
            "total_effect": array("active", "float32", "logits", "effect on it along all paths"),
            "influence": array(
                "active", "float32", "dimensionless", "signed influence on it as a row of its own"
            ),
            "gradient": array(
                "active",
                "float32",
                "logits",
                "activation times |gradient| of the right logit, nothing frozen",
            ),
            "gradient_contrast": array(
                "active", "float32", "logits", "the same, minus that of the wrong one"
            ),
            "token_direct": array("position", "float32", "logits", "direct effect of a token's embedding"),
            "token_total_effect": array("position", "float32", "logits", "its effect along all paths"),
            "token_influence": array("position", "float32", "dimensionless", "its signed influence"),
            "edge_target": array("edge", "int32", "active", "row into the active arrays"),
            "edge_source": array("edge", "int32", "active", "row into the active arrays"),
            "edge_weight": array("edge", "float32", "pre-activation", "A[target, source], signed"),
        },
    ),
    scalars=since(
        9,
        {
            "n_layers": array("", "int32", "layers", "layers of the model"),
            "error_direct": array("", "float64", "logits", "direct effect of all error nodes together"),
            "error_total_effect": array("", "float64", "logits", "their effect along all paths"),
        },
    ),
)
"""An item a prompt of a behaviour and variant. Its prompt hash is that of the prompt; what is traced goes on
to the decision. Only the strongest edges into a node are kept, and none below the least weight."""

VIRTUAL_WEIGHTS: Final = CollectionSchema(
    kind="virtual_weights",
    arrays=since(
        9,
        {
            "virtual_weight": array(
                "pair",
                "float32",
                "pre-activation / activation",
                "W_enc(target) W_dec(source), no norm between; NaN: cross-layer transcoders",
            ),
        },
    ),
    scalars={},
)
"""One item: what decoders of the circuits' edges write, as encoders read it, pairs in the order in which
they are asked for; its prompt hash is that of the pairs."""

BEHAVIOUR_FEATURES: Final = CollectionSchema(
    kind="behaviour_features",
    arrays=since(
        9,
        {
            "layer": array("layer", "int16", "layer", "those that were read"),
            "top_index": array(
                "prompt layer rank", "int32", "feature", "the largest activations, falling; -1: fewer"
            ),
            "top_value": array("prompt layer rank", "float32", "activation", "the largest over positions"),
            "seen_layer": array("seen", "int16", "layer", "of a feature active in any prompt"),
            "seen_index": array("seen", "int32", "feature", "its index in layer"),
            "seen_prompts": array("seen", "int32", "prompts", "in which it is active at a position read"),
            "seen_mean": array("seen", "float32", "activation", "mean over these of the largest"),
            "value_prompt": array("value", "int32", "prompt", "every activation, where these are asked for"),
            "value_layer": array("value", "int16", "layer", "its layer"),
            "value_position": array("value", "int32", "position", "its position"),
            "value_index": array("value", "int32", "feature", "its index in layer"),
            "value": array("value", "float32", "activation", "itself"),
        },
    ),
    scalars=since(9, {"n_prompts": array("", "int32", "prompts", "of the behaviour and split")}),
)
"""An item a behaviour, split and variant, its prompt hash that of all of its prompts, which are in the order
of their file. Positions are those of prompt and shared tokens of the answers."""

CIRCUITS: Final = DatasetSchema(
    kind="circuits",
    groups={
        "summary": since(
            9,
            {
                "variant": array("variant", "str", "", "variant"),
                "behaviour": array("behaviour", "str", "", "behaviour"),
                "passes": array(_CELL, "bool", "", "baseline: the variant passes; else little is told of it"),
                "n_train": array(_CELL, "int32", "prompts", "train prompts with a graph"),
                "n_test": array(_CELL, "int32", "prompts", "test prompts with a graph"),
                "n_groups": array(_CELL, "int32", "groups", "that the train prompts are of"),
                "n_features": array(_CELL, "int32", "features", "in the circuit"),
                "n_found": array(_CELL, "int32", "features", "of these with q at most the level"),
                "gradient_rank": array(
                    _CELL,
                    "float64",
                    "correlation",
                    "Spearman, `gradient` and |total effect|; mean over prompts",
                ),
                "gradient_contrast_rank": array(
                    _CELL, "float64", "correlation", "Spearman, `gradient_contrast` and total effect"
                ),
                "n_planted": array(_CELL, "int32", "prompts", "test prompts that base gets right"),
                "planted_sign": array(
                    _CELL, "float64", "rate", "of these, decisive tokens' total effect is above 0; NaN: none"
                ),
                "planted_leads": array(
                    _CELL,
                    "float64",
                    "rate",
                    "of these, it is, and exceeds |the attractor's| where there is one",
                ),
            },
        ),
        "circuit": since(
            9,
            {
                **_OF,
                "layer": array("row", "int16", "layer", "0-based"),
                "index": array("row", "int32", "feature", "index in layer, 0-based"),
                "direct": array("row", "float64", "logits", f"direct effect on right minus wrong: {_OVER}"),
                "total_effect": array("row", "float64", "logits", f"along all paths: {_OVER}"),
                "influence": array("row", "float64", "dimensionless", f"signed influence on it: {_OVER}"),
                "gradient": array("row", "float64", "logits", f"activation times |gradient|: {_OVER}"),
                "gradient_contrast": array("row", "float64", "logits", f"right minus wrong: {_OVER}"),
                "activation": array(
                    "row", "float64", "activation", "largest at any position, mean over prompts where active"
                ),
                "frequency": array("row", "float64", "rate", "of train prompts in which it is active"),
                "elsewhere": array(
                    "row", "float64", "rate", "its mean frequency on the other behaviours; NaN: none"
                ),
                "specificity": array("row", "float64", "logits", "|total effect| times 1 - `elsewhere`"),
                "sign_agreement": array(
                    "row", "float64", "share", "of groups with an effect, those with the sign of the mean"
                ),
                "n_groups": array("row", "int32", "groups", "in which it has a total effect"),
                "p": array(
                    "row", "float64", "probability", "sign flips of total effects; NaN: too few groups"
                ),
                "q": array("row", "float64", "rate", "Benjamini-Hochberg within variant and behaviour"),
                "supernode": array("row", "int32", "supernode", "from 1: of like effects by prompt; 0: none"),
            },
        ),
        "edges": since(
            9,
            {
                "variant": array("edge", "str", "", "whose weights"),
                "behaviour": array("edge", "str", "", "which one"),
                "source_layer": array("edge", "int16", "layer", "0-based"),
                "source_index": array("edge", "int32", "feature", "index in layer"),
                "target_layer": array("edge", "int16", "layer", "0-based"),
                "target_index": array("edge", "int32", "feature", "index in layer"),
                "weight": array("edge", "float64", "pre-activation", f"summed over positions, {_OVER}"),
                "frequency": array("edge", "float64", "rate", "of train prompts in which it is kept"),
                "virtual_weight": array(
                    "edge",
                    "float64",
                    "pre-activation / activation",
                    "W_enc(target) W_dec(source); NaN: cross-layer",
                ),
            },
        ),
        "prompts": since(
            9,
            {
                "prompt_hash": array("prompt", "str", "", "prompt"),
                "variant": array("prompt", "str", "", "whose weights"),
                "behaviour": array("prompt", "str", "", "which one"),
                "split": array("prompt", "str", "", "`train` or `test`"),
                "contrast": array("prompt", "float64", "logits", "right minus wrong at the decision"),
                "decisive": array("prompt", "float64", "logits", "total effect of the decisive tokens on it"),
                "attractor": array(
                    "prompt", "float64", "logits", "that of what could mislead; NaN: there is none"
                ),
                "rest": array("prompt", "float64", "logits", "that of all other tokens behind the first"),
            },
        ),
    },
)
"""The circuit's rows stand by variant, behaviour and falling |total effect|; edges are among them."""
