"""What orders of features predict of interventions, and what these did: every array."""

from typing import Final

from store.schema.rankings import OF_FEATURE
from store.schema.specs import CollectionSchema, DatasetSchema, array, since

_LOGITS: Final = "logits, evil minus safe, intervened minus not"
_OF_TOP: Final = "the features that the order puts first"

VALIDATION: Final = DatasetSchema(
    kind="validation",
    groups={
        # An order is a score of a contrast, held against an intervention in a variant.
        "orders": {
            "intervention": array("order", "str", "", "`ablate` (0) or `restore` (to the base's value)"),
            "variant": array("order", "str", "", "in which variant"),
            "score": array("order", "str", "", "what features are ordered by, on the other situations"),
            "contrast": array("order", "str", "", "of which contrast, over all domains"),
            "n_features": array(
                "order",
                "int32",
                "features",
                "drawn at random of those active in enough of the other situations",
            ),
            "n_situations": array("order", "int32", "situations", "in which effects are measured"),
            "spearman": array(
                "order", "float64", "", "rank correlation of the score with minus the effect; NaN: undefined"
            ),
            "spearman_low": array("order", "float64", "", "percentile bootstrap over features, lower"),
            "spearman_high": array("order", "float64", "", "percentile bootstrap, upper"),
            "same_sign": array(
                "order", "float64", "share", "of features with score and effect: as predicted; NaN: no side"
            ),
            "n_first": array("order", "int32", "features", _OF_TOP),
            "n_cases": array("order", "int32", "cases", f"a prompt and one of {_OF_TOP}, with controls"),
            "beaten": array(
                "order",
                "float64",
                "share",
                "of a situation's cases, mean over situations: less harm than after the same to 95% of the "
                "controls; NaN: none",
            ),
            "beaten_low": array("order", "float64", "share", "bootstrap-t over situations; NaN: too few"),
            "beaten_high": array("order", "float64", "share", "bootstrap-t, upper"),
            "joint_effect": array("order", "float64", "logits", f"{_LOGITS}: {_OF_TOP}, together"),
            "joint_low": array("order", "float64", "logits", "bootstrap-t over situations; NaN: too few"),
            "joint_high": array("order", "float64", "logits", "bootstrap-t, upper"),
            "joint_controls": array(
                "order",
                "float64",
                "logits",
                "mean of the same done to matched sets, where some match; NaN: nowhere",
            ),
        },
        # The features drawn at random, by which orders are compared.
        "features": {
            **OF_FEATURE,
            "predicted": array("order feature", "float64", "the score's", "score on the other situations"),
            "measured": array("order feature", "float64", _LOGITS, "mean over situations"),
        },
    },
)

_CHANGE: Final = "of the logit, intervened minus not; 0: nothing to change, or within rounding"
_OF_CONTROL: Final = "the same of a matched set; NaN: fewer match"

MEASURED_EFFECTS: Final = CollectionSchema(
    kind="measured_effects",
    arrays=since(
        8,
        {
            "ablate": array("set token", "float32", "logits", _CHANGE),
            "ablate_controls": array("compared control token", "float32", "logits", _OF_CONTROL),
            "restore": array("restored token", "float32", "logits", f"{_CHANGE}. Base: no row"),
            "restore_controls": array("restored_compared control token", "float32", "logits", _OF_CONTROL),
        },
    ),
    scalars={},
)
"""Sets of features by labelled tokens, which are in the key: what `validation` is computed from."""
