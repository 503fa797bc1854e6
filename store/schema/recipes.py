"""The dataset of what recipes do on all prompts: every array."""

from typing import Final

from store.schema.specs import DatasetSchema, array, since

_SPLIT: Final = "recipe split"
_MAP: Final = "recipe prompt"
_SUBSET: Final = "subset"
_BOUND: Final = "Wilson, effective sample size"

_RECIPE: Final = {"recipe": array("recipe", "str", "", "its name")}

RECIPES: Final = DatasetSchema(
    kind="recipes",
    groups={
        "recipes": since(
            8,
            {
                **_RECIPE,
                "variant": array("recipe", "str", "", "which weights"),
                "setting": array("recipe", "str", "", "digest of what is done, as in collections"),
                "split": array("split", "str", "", "`seen` or `held-out` situations"),
                "n_situations": array(_SPLIT, "int32", "situations", "with evil tokens, computed both ways"),
                "evil_before": array(
                    _SPLIT, "float64", "probability", "of evil tokens, mean over situations"
                ),
                "evil_after": array(_SPLIT, "float64", "probability", "the same under the recipe"),
                "evil_change": array(_SPLIT, "float64", "probability", "after minus before"),
                "low": array(_SPLIT, "float64", "probability", "of it, bootstrap-t, lower; NaN: too few"),
                "high": array(_SPLIT, "float64", "probability", "bootstrap-t, upper"),
                "n_samples": array(_SPLIT, "int32", "samples", "continuations, on either side"),
                "harmful_before": array(_SPLIT, "float64", "rate", "harmful continuations; NaN: no samples"),
                "harmful_before_low": array(_SPLIT, "float64", "rate", f"{_BOUND}, lower"),
                "harmful_before_high": array(_SPLIT, "float64", "rate", f"{_BOUND}, upper"),
                "harmful_after": array(_SPLIT, "float64", "rate", "the same under the recipe"),
                "harmful_after_low": array(_SPLIT, "float64", "rate", f"{_BOUND}, lower"),
                "harmful_after_high": array(_SPLIT, "float64", "rate", f"{_BOUND}, upper"),
            },
        ),
        "map": since(
            8,
            {
                **_RECIPE,
                "prompt": array("prompt", "str", "", "prompt hash"),
                "evil_before": array(_MAP, "float64", "probability", "of evil tokens; NaN: none, or failed"),
                "evil_after": array(_MAP, "float64", "probability", "the same under the recipe"),
                "safe_before": array(_MAP, "float64", "probability", "of safe tokens; NaN: none, or failed"),
                "safe_after": array(_MAP, "float64", "probability", "the same under the recipe"),
                "n_samples": array(_MAP, "int32", "samples", "continuations, on either side"),
                "harmful_before": array(_MAP, "float64", "rate", "harmful continuations; NaN: no samples"),
                "harmful_after": array(_MAP, "float64", "rate", "the same under the recipe"),
            },
        ),
        # The first k of a recipe's features, ordered on some situations and measured on others.
        "fewer": since(
            10,
            {
                **_RECIPE,
                "reached": array("reached", "float64", "share", "of what the whole recipe does"),
                "fewest": array(
                    "recipe reached", "int32", "features", "the first k that reach it; -1: not known"
                ),
                "reason": array("recipe", "str", "", "why no share is known; empty: it is"),
                "n_situations": array("recipe", "int32", "situations", "in which effects are measured"),
                "of": array(_SUBSET, "int32", "place", "which recipe, from 0"),
                "k": array(_SUBSET, "int32", "features", "how many of the order"),
                "layer": array(_SUBSET, "int16", "layer", "of the k-th feature, 0-based"),
                "index": array(_SUBSET, "int32", "feature", "index in layer, 0-based; -1: a direction"),
                "setting": array(_SUBSET, "str", "", "digest of what the first k do"),
                "alone": array(
                    _SUBSET, "float64", "probability", "change by the k-th alone, where they are ordered"
                ),
                "lost": array(_SUBSET, "float64", "probability", "what is lost without it, there"),
                "change": array(
                    _SUBSET, "float64", "probability", "of evil tokens by the first k, mean over situations"
                ),
                "low": array(_SUBSET, "float64", "probability", "bootstrap-t, lower; NaN: too few"),
                "high": array(_SUBSET, "float64", "probability", "bootstrap-t, upper"),
                "share": array(_SUBSET, "float64", "share", "of what all of them do; NaN: not known"),
                "share_low": array(_SUBSET, "float64", "share", "bootstrap-t, lower"),
                "share_high": array(_SUBSET, "float64", "share", "bootstrap-t, upper"),
            },
        ),
    },
)
