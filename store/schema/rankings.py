"""Rankings of features and of edges: the groups of `features` that hold them, and their arrays."""

from dataclasses import replace
from typing import Final

from store.schema.specs import ArraySpec, array, since

OF_FEATURE: Final = {
    "layer": array("feature", "int16", "layer", "0-based"),
    "index": array("feature", "int32", "feature", "index in layer, 0-based"),
}

_CONTRASTS: Final = "`evil-safe|VARIANT` or `VARIANT-base`"
_SCORED: Final = ("prompts with both labels", "prompts without both labels")
_BEYOND_P: Final = {
    "found": array("contrast domain feature", "bool", "", "q at most the level, effect at least the floor"),
    "null_share": array(
        "contrast domain feature",
        "float32",
        "share",
        "share of all effects of random adapters at least as large, (1 + count) / (1 + n); NaN: no "
        "difference from base, or no random adapter",
    ),
    "n_effective": array(
        "contrast domain feature",
        "float32",
        "situations",
        "independent situations that they are worth, by their likeness within domains; NaN: inactive",
    ),
}
_FIRM: Final = {
    "sign_consistency": array(
        "contrast domain feature",
        "float32",
        "share",
        "of the situations with an effect, those whose sign is that of the mean; NaN: inactive",
    ),
    "stability": array(
        "contrast domain",
        "float32",
        "share",
        "of the first 20 toward harm, those that are first when situations are drawn anew; NaN: too few",
    ),
}
UNLABELLED: Final = "no prompt has both labels"
UNSELECTED: Final = f"{UNLABELLED}; before version 4 also where it was not selected"


def ranking(
    unit: str, *, contrasts: str = _CONTRASTS, scored: tuple[str, str] = _SCORED, labelled: bool = True
) -> dict[str, ArraySpec]:
    """A ranking of features; `unit` is that of the effect, `scored` says which prompts count.

    `labelled`: whether it is of evil against safe tokens, whose labels can be exchanged.
    """
    dims = "contrast domain feature"
    by_labels = array(
        dims, "float64", "probability", "evil and safe labels exchanged within domains; NaN: not tested"
    )
    return {
        **OF_FEATURE,
        "contrast": array("contrast", "str", "", contrasts),
        "domain": array("domain", "str", "", "`all` or a domain"),
        "effect": array(dims, "float32", unit, "mean over situations; NaN: its layer is left out"),
        "low": array(dims, "float32", unit, "bootstrap-t over situations, lower; NaN: too few"),
        "high": array(dims, "float32", unit, "bootstrap-t, upper"),
        "p": array(
            dims,
            "float64",
            "probability",
            "sign-flip permutation: consistent over situations? NaN: not tested",
        ),
        **(since(4, {"p_labels": by_labels}) if labelled else {}),
        "q": array(
            dims,
            "float64",
            "rate",
            f"Benjamini-Hochberg within contrast and domain, of `{'p_labels' if labelled else 'p'}`"
            + ("; before version 4 of `p`" if labelled else ""),
        ),
        **since(4, _BEYOND_P),
        **since(5, _FIRM),
        "n_situations": array(dims, "int32", "situations", "situations in which it is scored (active)"),
        "n_scored": array("contrast domain", "int32", "prompts", scored[0]),
        "n_left_out": array("contrast domain", "int32", "prompts", scored[1]),
    }


def situations(unit: str, *, unscored: str = UNLABELLED) -> dict[str, ArraySpec]:
    """The unit of every test: the mean over a situation's prompts."""
    return {
        **OF_FEATURE,
        "contrast": array("contrast", "str", "", "as in ranking"),
        "situation": array("situation", "str", "", "what the prompt is about"),
        "situation_domain": array("situation", "str", "", "its domain"),
        "effect": array(
            "contrast situation feature", "float32", unit, f"0 where inactive; NaN where {unscored}"
        ),
    }


def acting() -> dict[str, ArraySpec]:
    """What features do for acting where it harms nobody, beside each contrast of the ranking."""
    dims = "contrast feature"
    effect = "acting minus not acting, mean over situations; 0: inactive; NaN: too few situations"
    return {
        **OF_FEATURE,
        "contrast": array("contrast", "str", "", "as in ranking"),
        "effect": array(dims, "float32", "logits", effect),
        "low": array(dims, "float32", "logits", "bootstrap-t over situations, lower; NaN: inactive, too few"),
        "high": array(dims, "float32", "logits", "bootstrap-t, upper"),
        "n_situations": array("contrast", "int32", "situations", "situations with a scored prompt"),
        "n_scored": array("contrast", "int32", "prompts", "prompts with the tag and both labels"),
        "n_left_out": array("contrast", "int32", "prompts", "prompts with the tag without both labels"),
    }


def ranking_of_edges() -> dict[str, ArraySpec]:
    """A ranking of pairs of features by how their edges differ; ends in place of a feature."""
    specs = ranking(
        "pre-activation",
        contrasts="`VARIANT-base`: edge weights summed over positions, adapted minus base",
        scored=("prompts of both variants", "prompts of one variant only"),
        labelled=False,
    )
    ends = {
        f"{end}_{name}": array("pair", spec.dtype, spec.unit, f"{end} of the edges: {spec.meaning}")
        for end in ("source", "target")
        for name, spec in OF_FEATURE.items()
    }
    ranked = {
        name: replace(spec, dims=tuple("pair" if dim == "feature" else dim for dim in spec.dims))
        for name, spec in specs.items()
        if name not in OF_FEATURE
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


def ranking_group(score: str) -> str:
    """Group that ranks features by a score.

    >>> ranking_group("direct"), ranking_group("influence")
    ('ranking', 'ranking_influence')
    """
    return _group("ranking", score)


def situations_group(score: str) -> str:
    """Group with a score's effects by situation."""
    return _group("situations", score)


def _group(name: str, score: str) -> str:
    # The first format version had `direct` only.
    return name if score == "direct" else f"{name}_{score}"
