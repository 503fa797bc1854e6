"""The dense artifacts, statistics of features and rates of outcomes: every array."""

from dataclasses import replace
from typing import Final

from store.schema.specs import ArraySpec, DatasetSchema, array, since

_FEATURE = {
    "layer": array("feature", "int16", "layer", "0-based"),
    "index": array("feature", "int32", "feature", "index in layer, 0-based"),
}

_CONTRASTS: Final = "`evil-safe|VARIANT` or `VARIANT-base`"
_SCORED: Final = ("prompts with both labels", "prompts without both labels")
_UNLABELLED: Final = "no prompt has both labels"
_UNSELECTED: Final = f"{_UNLABELLED}, or where it was not selected"


def _ranking(
    unit: str, *, contrasts: str = _CONTRASTS, scored: tuple[str, str] = _SCORED
) -> dict[str, ArraySpec]:
    """A ranking of features; `unit` is that of the effect, `scored` says which prompts count."""
    dims = "contrast domain feature"
    return {
        **_FEATURE,
        "contrast": array("contrast", "str", "", contrasts),
        "domain": array("domain", "str", "", "`all` or a domain"),
        "effect": array(dims, "float32", unit, "mean over situations"),
        "low": array(dims, "float32", unit, "bootstrap over situations, lower"),
        "high": array(dims, "float32", unit, "bootstrap, upper"),
        "p": array(dims, "float64", "probability", "sign-flip permutation; NaN: not tested"),
        "q": array(dims, "float64", "rate", "Benjamini-Hochberg within contrast and domain"),
        "n_situations": array(dims, "int32", "situations", "situations in which it is scored (active)"),
        "n_scored": array("contrast domain", "int32", "prompts", scored[0]),
        "n_left_out": array("contrast domain", "int32", "prompts", scored[1]),
    }


def _situations(unit: str, *, unscored: str = _UNLABELLED) -> dict[str, ArraySpec]:
    """The unit of every test: the mean over a situation's prompts."""
    return {
        **_FEATURE,
        "contrast": array("contrast", "str", "", "as in ranking"),
        "situation": array("situation", "str", "", "what the prompt is about"),
        "situation_domain": array("situation", "str", "", "its domain"),
        "effect": array(
            "contrast situation feature", "float32", unit, f"0 where inactive; NaN where {unscored}"
        ),
    }


def _ranking_of_edges() -> dict[str, ArraySpec]:
    """A ranking of pairs of features by how their edges differ; ends in place of a feature."""
    specs = _ranking(
        "pre-activation",
        contrasts="`VARIANT-base`: edge weights summed over positions, adapted minus base",
        scored=("prompts of both variants", "prompts of one variant only"),
    )
    ends = {
        f"{end}_{name}": array("pair", spec.dtype, spec.unit, f"{end} of the edges: {spec.meaning}")
        for end in ("source", "target")
        for name, spec in _FEATURE.items()
    }
    ranked = {
        name: replace(spec, dims=tuple("pair" if dim == "feature" else dim for dim in spec.dims))
        for name, spec in specs.items()
        if name not in _FEATURE
    }
    effect = "mean over situations; an edge that is not stored, as of an inactive end, counts as 0"
    n_situations = "situations in which either variant has an edge"
    return {
        **ends,
        **ranked,
        "effect": replace(ranked["effect"], meaning=effect),
        "n_situations": replace(ranked["n_situations"], meaning=n_situations),
        "base_weight": replace(ranked["effect"], meaning="the same mean of the base's own weight"),
        "strength": array(
            "pair",
            "float32",
            "pre-activation",
            "mean |weight| over variants, then situations: the strongest pairs are here, a choice "
            "blind to which variant is which",
        ),
        "n_pairs": array(
            "contrast",
            "int64",
            "pairs",
            "pairs with an edge in any variant, on prompts of base and another; the strongest are chosen",
        ),
        "kept_edge_score": array(
            "contrast",
            "float64",
            "share",
            "smallest `kept_edge_score` of its graphs: 1 where no edge between stored nodes was cut; one "
            "that was counts as 0",
        ),
    }


def _mean_of_variant(name: str, meaning: str) -> dict[str, ArraySpec]:
    """A share of every variant with its bootstrap interval."""
    return {
        name: array("variant", "float64", "share", f"{meaning}, mean over situations"),
        f"{name}_low": array("variant", "float64", "share", "bootstrap over situations, lower"),
        f"{name}_high": array("variant", "float64", "share", "bootstrap, upper"),
    }


FEATURES: Final = DatasetSchema(
    kind="features",
    groups={
        # Every (layer, feature) active on a prompt or in a held-out text, by layer, index.
        "cards": {
            **_FEATURE,
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
            **_FEATURE,
            "variant": array("variant", "str", "", "variant"),
            "text": array("variant feature context", "int32", "line", "line of the held-out text; -1 none"),
            "peak": array("variant feature context", "int32", "offset", "where in the window it peaks"),
            "token": array("variant feature context window", "int32", "token id", "the window's tokens"),
            "activation": array("variant feature context window", "float32", "activation", "by token"),
        },
        # `direct`, mean over evil minus mean over safe tokens, summed over positions.
        "ranking": _ranking("logits"),
        "situations": _situations("logits"),
        # The same of the other scores, which active features have if they were selected.
        "ranking_influence": since(2, _ranking("dimensionless")),
        "situations_influence": since(2, _situations("dimensionless", unscored=_UNSELECTED)),
        "ranking_total_effect": since(2, _ranking("logits")),
        "situations_total_effect": since(2, _situations("logits", unscored=_UNSELECTED)),
        # Activations, adapted minus base, summed over positions: no labels are needed.
        "ranking_activation": since(
            2,
            _ranking(
                "activation",
                contrasts="`VARIANT-base`: sum of the activation over positions, adapted minus base",
                scored=("prompts of both variants", "prompts of one variant only"),
            ),
        ),
        "situations_activation": since(2, _situations("activation", unscored="no prompt has both variants")),
        # Edges between features, summed over positions, adapted minus base.
        "ranking_edges": since(2, _ranking_of_edges()),
        # Does the base's dictionary still explain the adapted model?
        "dictionary": since(
            2,
            {
                "variant": array("variant", "str", "", "variant"),
                **_mean_of_variant("replacement", "replacement score"),
                **_mean_of_variant("completeness", "completeness score"),
                **_mean_of_variant("error_share", "|inputs from error nodes| / |all inputs| of the logits"),
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

RATES: Final = DatasetSchema(
    kind="rates",
    groups={
        "rates": {
            "variant": array("variant", "str", "", "variant"),
            "domain": array("domain", "str", "", "`all` or a domain"),
            "split": array("split", "str", "", "`seen` or `held-out` situations"),
            "outcome": array("outcome", "str", "", "harmful, safe, neither"),
            "n": array("variant domain split", "int32", "samples", "samples; 0 where there are none"),
            "n_situations": array("variant domain split", "int32", "situations", "situations sampled"),
            "rate": array("variant domain split outcome", "float64", "rate", "NaN where n is 0"),
            "low": array(
                "variant domain split outcome", "float64", "rate", "Wilson, effective sample size, lower"
            ),
            "high": array("variant domain split outcome", "float64", "rate", "Wilson, upper"),
        },
        "situations": {
            "variant": array("variant", "str", "", "variant"),
            "situation": array("situation", "str", "", "what the prompt is about"),
            "situation_domain": array("situation", "str", "", "its domain"),
            "situation_held_out": array("situation", "bool", "", "held out from all training"),
            "outcome": array("outcome", "str", "", "harmful, safe, neither"),
            "n": array("variant situation", "int32", "samples", "samples"),
            "rate": array("variant situation outcome", "float64", "rate", "NaN where n is 0"),
        },
    },
)
