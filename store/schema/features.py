"""The dataset of statistics of features: every array but those of `store.schema.rankings`."""

from typing import Final

from store.schema.rankings import OF_FEATURE, UNSELECTED, acting, ranking, ranking_of_edges, situations
from store.schema.specs import ArraySpec, DatasetSchema, array, since


def _mean_of_variant(name: str, meaning: str) -> dict[str, ArraySpec]:
    """A share of every variant with its bootstrap interval."""
    return {
        name: array("variant", "float64", "share", f"{meaning}, mean over situations"),
        f"{name}_low": array("variant", "float64", "share", "bootstrap-t over situations, lower"),
        f"{name}_high": array("variant", "float64", "share", "bootstrap-t, upper"),
    }


_CHANGED: Final = "`VARIANT-base`: what the adapter's change of the feature does"

FEATURES: Final = DatasetSchema(
    kind="features",
    groups={
        # Every (layer, feature) active on a prompt or in a held-out text, by layer, index.
        "cards": {
            **OF_FEATURE,
            "variant": array("variant", "str", "", "variant"),
            "mean_activation": array(
                "variant feature",
                "float32",
                "activation",
                "mean over prompts' tokens but BOS, zeros included",
            ),
            "frequency": array(
                "variant feature",
                "float32",
                "share",
                "share of prompts' tokens but BOS where it is active",
            ),
            "n_prompts": array("variant feature", "int32", "prompts", "prompts on which it is active"),
            "bin_edge": array("edge", "float32", "activation", "histogram bins, log-spaced"),
            "histogram": array(
                "variant feature bin",
                "int32",
                "tokens",
                "non-zero activations on held-out text by bin; -1: none read",
            ),
            "promoted_token": array("feature rank", "int32", "token id", "most promoted by W_dec . W_U"),
            "promoted_logit": array("feature rank", "float32", "logits", "centred, per unit of activation"),
            "suppressed_token": array("feature rank", "int32", "token id", "most suppressed"),
            "suppressed_logit": array("feature rank", "float32", "logits", "centred, per unit of activation"),
        },
        # Strongest contexts in held-out text; windows padded with token -1.
        "contexts": {
            **OF_FEATURE,
            "variant": array("variant", "str", "", "variant"),
            "text": array("variant feature context", "int32", "line", "line of the held-out text; -1 none"),
            "peak": array("variant feature context", "int32", "offset", "where in the window it peaks"),
            "token": array("variant feature context window", "int32", "token id", "the window's tokens"),
            "activation": array("variant feature context window", "float32", "activation", "by token"),
        },
        # `direct`, mean over evil minus mean over safe tokens, summed over positions.
        "ranking": ranking("logits"),
        "situations": situations("logits"),
        # The same of the other scores; before version 4 only of active features that were selected.
        "ranking_influence": since(2, ranking("dimensionless")),
        "situations_influence": since(2, situations("dimensionless", unscored=UNSELECTED)),
        "ranking_total_effect": since(2, ranking("logits")),
        "situations_total_effect": since(2, situations("logits", unscored=UNSELECTED)),
        # Change of activation times direct effect: 0 where no activation changed.
        "ranking_change": since(4, ranking("logits", contrasts=_CHANGED)),
        "situations_change": since(4, situations("logits")),
        # Activations, adapted minus base, summed over positions: no labels are needed.
        "ranking_activation": since(
            2,
            ranking(
                "activation",
                contrasts="`VARIANT-base`: sum of the activation over positions, adapted minus base",
                scored=("prompts of both variants", "prompts of one variant only"),
                labelled=False,
            ),
        ),
        "situations_activation": since(2, situations("activation", unscored="no prompt has both variants")),
        # Edges between features, summed over positions, adapted minus base.
        "ranking_edges": since(2, ranking_of_edges()),
        # Is it harm, or acting at all? `direct` where acting harms nobody, on prompts with the tag
        # `features.confound_tag`, which are in no ranking.
        "acting": since(7, acting()),
        # What a difference of two graphs is worth: pooled over random adapters, prompts, nodes or edges.
        "null_changes": since(
            4,
            {
                "quantity": array(
                    "quantity", "str", "", "influence and activation of feature nodes; weight of an edge"
                ),
                "share": array("level", "float64", "share", "1 to one in ten thousand, descending"),
                "size": array(
                    "quantity level",
                    "float64",
                    "the quantity's",
                    "|change from base| that no more than this share of all reach; NaN: too few",
                ),
                "n": array("quantity", "int64", "changes", "of how many"),
            },
        ),
        # Does the base's dictionary still explain the adapted model?
        "dictionary": since(
            2,
            {
                "variant": array("variant", "str", "", "variant"),
                **_mean_of_variant("replacement", "replacement score"),
                **_mean_of_variant("completeness", "completeness score"),
                **_mean_of_variant("error_share", "|inputs from error nodes| / |all inputs| of the logits"),
                **since(
                    4,
                    _mean_of_variant(
                        "unselected_share",
                        "|inputs from features that are no nodes| / |all inputs, theirs included|",
                    ),
                ),
                "n_situations": array("variant", "int32", "situations", "situations traced"),
                "change_error_share": array(
                    "variant",
                    "float64",
                    "share",
                    "share of error nodes in the change against base; NaN for base",
                ),
            },
        ),
    },
)
