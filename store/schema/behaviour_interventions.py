"""What interventions along partners do to behaviours, and what circuits carry: every array."""

from typing import Final

from store.schema.interventions import TRIED_EFFECTS
from store.schema.specs import CollectionSchema, DatasetSchema, array, since
from store.schema.vocabulary import CIRCUIT_EXPERIMENTS, PARTNERED, SPAN_PARTS

_LOGIT: Final = "of the right answer's token and the wrong one's, where they part"

DECISION_FEATURES: Final = CollectionSchema(
    kind="decision_features",
    arrays=since(
        9,
        {
            "layer": array("active", "int16", "layer", "active on the prompt: layer, 0-based"),
            "index": array("active", "int32", "feature", "index in layer, 0-based"),
            "value": array("active", "float32", "activation", "largest by size at any position"),
            "logit": array("token", "float32", "logits", _LOGIT),
        },
    ),
    scalars={},
)
"""On every prompt of a behaviour: what the importance of features is computed from."""

PARTNERED_EFFECTS: Final = CollectionSchema(
    kind="partnered_effects", arrays=since(9, TRIED_EFFECTS.arrays), scalars={}
)
"""Trials of single features, then of whole layers, by both tokens: as `tried_effects`; all in the key."""

_FIRST: Final = f"{_LOGIT}, the first k of a circuit"
_SITE: Final = f"{_LOGIT}; by layer, all layers last: at the span as in the source,"

CIRCUIT_LOGITS: Final = CollectionSchema(
    kind="circuit_logits",
    arrays=since(
        9,
        {
            "clean": array("token", "float32", "logits", _LOGIT),
            "ablated": array("order k token", "float32", "logits", f"{_FIRST} at 0; circuits, random ones"),
            "partnered": array("source token", "float32", "logits", f"{_LOGIT}, of the source, if there is"),
            "given": array("held_order k token", "float32", "logits", f"{_FIRST} as here, in the source"),
            "taken": array("held_order k token", "float32", "logits", f"{_FIRST} as in the source, here"),
            "stream": array("site token", "float32", "logits", f"{_SITE} the residual stream before it"),
            "features": array("site token", "float32", "logits", f"{_SITE} all features"),
            "circuit": array("site token", "float32", "logits", f"{_SITE} those of the own circuit"),
            "by_chance": array("draw site token", "float32", "logits", f"{_SITE} those of random circuits"),
        },
    ),
    scalars={},
)
"""Circuits held on a test prompt and its partner; circuits, partner and tokens are in the key."""

_TRIAL: Final = "trial"
_CELL: Final = "cell"
_EFFECT: Final = "logits, right minus wrong, intervened minus baseline"
_INTERVAL: Final = "bootstrap-t over groups, lower; NaN: too few"
_SHARE: Final = "share"
_CURVE: Final = "behaviour experiment circuit k"
_AREA: Final = "behaviour experiment circuit"
_BY_CHANCE: Final = "behaviour experiment k"
_PART: Final = "behaviour part site"
_NULL: Final = "; empty: none"
_AXES: Final = {
    "behaviour": array("behaviour", "str", "", "behaviour"),
    "experiment": array("experiment", "str", "", f"`{'`, `'.join(CIRCUIT_EXPERIMENTS)}`"),
    "circuit": array("circuit", "str", "", "whose; `swapped`: by importance, with answers swapped at random"),
}

BEHAVIOUR_INTERVENTIONS: Final = DatasetSchema(
    kind="behaviour_interventions",
    groups={
        # Every prompt that something is done to, and its partner.
        "prompts": since(
            9,
            {
                "prompt": array("prompt", "str", "", "prompt hash"),
                "behaviour": array("prompt", "str", "", "of which it is"),
                "group": array("prompt", "str", "", "the unit of every statistic"),
                "partner": array("prompt", "str", "", f"hash of its partner{_NULL}"),
                "unpaired": array("prompt", "str", "", "why nothing is patched; empty: it is"),
                "contrast": array("prompt", "float64", "logits", "right minus wrong where they part"),
                "partner_contrast": array(
                    "prompt", "float64", "logits", "of the same tokens behind the partner; NaN: unpaired"
                ),
            },
        ),
        # What is done to one feature, or to a whole layer: means over groups of test prompts.
        "trials": since(
            9,
            {
                "behaviour": array(_TRIAL, "str", "", "on whose prompts"),
                "circuit": array(_TRIAL, "str", "", "whose circuit the feature is of; empty: a whole layer"),
                "experiment": array(_TRIAL, "str", "", f"`{'`, `'.join(PARTNERED)}`"),
                "layer": array(_TRIAL, "int16", "layer", "0-based"),
                "index": array(_TRIAL, "int32", "feature", "index in layer, 0-based; -1: the whole layer"),
                "value": array(_TRIAL, "float64", "-", "inhibition: how many times; NaN: none"),
                "baseline": array(_TRIAL, "float64", "logits", "right minus wrong without it"),
                "effect": array(_TRIAL, "float64", _EFFECT, "0 where it is inactive; NaN: on no prompt"),
                "low": array(_TRIAL, "float64", _EFFECT, _INTERVAL),
                "high": array(_TRIAL, "float64", _EFFECT, "bootstrap-t, upper"),
                "effect_log_probability": array(_TRIAL, "float64", "nats", "of the right answer's token"),
                "control_mean": array(_TRIAL, "float64", _EFFECT, "of matched features; NaN: none"),
                "flips": array(_TRIAL, "float64", _SHARE, "of prompts: the contrast's sign turns"),
                "n_groups": array(_TRIAL, "int32", "groups", "in which it is measured"),
                "n_prompts": array(_TRIAL, "int32", "prompts", "on which it is measured"),
                "n_unpaired": array(_TRIAL, "int32", "prompts", "left out, for no partner is as long"),
                "n_acting": array(_TRIAL, "int32", "prompts", "on which there is something to change"),
                "p": array(_TRIAL, "float64", "probability", "answers exchanged in groups, at random"),
                "q": array(_TRIAL, "float64", "rate", "Benjamini-Hochberg, behaviour and experiment"),
                "p_controls": array(
                    _TRIAL, "float64", "probability", "(1 + matched features that do as much) / (1 + n)"
                ),
                "verdict": array(
                    _TRIAL,
                    "str",
                    "",
                    "`acts`: not 0, q, p_controls small; `silent`, `unclear`, `inactive`",
                ),
            },
        ),
        # A trial on a prompt.
        "cells": since(
            9,
            {
                "trial": array(_CELL, "int32", "row", "of trials"),
                "prompt": array(_CELL, "int32", "row", "of prompts"),
                "baseline": array(_CELL, "float64", "logits", "right minus wrong without it"),
                "intervened": array(_CELL, "float64", "logits", "with it"),
                "effect": array(_CELL, "float64", _EFFECT, "0: nothing to change there"),
                "effect_log_probability": array(_CELL, "float64", "nats", "of the right answer's token"),
                "relative": array(_CELL, "float64", _SHARE, "by |baseline|; NaN: that is near 0"),
                "flip": array(_CELL, "bool", "", "the contrast's sign turns"),
                "before": array(_CELL, "float32", "activation", "mean over the positions where it acts"),
                "after": array(_CELL, "float32", "activation", "the same, intervened; NaN: a whole layer"),
                "n_positions": array(_CELL, "int32", "tokens", "at which it acts"),
                "rank_before": array("cell token", "int32", "place", "of both tokens, from 1"),
                "rank_after": array("cell token", "int32", "place", "the same, intervened"),
                "control_effect": array("cell control", "float32", _EFFECT, "matched; NaN: fewer match"),
                "control_index": array("cell control", "int32", "feature", "in the layer; -1: none"),
                "p": array(_CELL, "float64", "probability", "among its controls; NaN: none"),
            },
        ),
        # How features' activations go with the contrast, over train prompts.
        "importance": since(
            9,
            {
                "behaviour": array("feature", "str", "", "on whose prompts"),
                "layer": array("feature", "int16", "layer", "0-based"),
                "index": array("feature", "int32", "feature", "index in layer, 0-based"),
                "correlation": array("feature", "float64", "correlation", "of activation and contrast"),
                "effective": array("feature", "float64", "prompts", "that are as good as independent"),
                "p": array(
                    "feature",
                    "float64",
                    "probability",
                    "Student's, of these, or sign flips of few groups; NaN: in too few",
                ),
                "q": array("feature", "float64", "rate", "Benjamini-Hochberg within behaviour"),
                "activation": array("feature", "float64", "activation", "mean size over prompts"),
                "n_groups": array("feature", "int32", "groups", "in which it is active"),
                "n_prompts": array("feature", "int32", "prompts", "that are correlated"),
            },
        ),
        # F(k) on test prompts of circuits found on train prompts.
        "curves": since(
            9,
            {
                **_AXES,
                "k": array("k", "int32", "features", "so many first ones of the circuit"),
                "fraction": array(_CURVE, "float64", _SHARE, "F(k)"),
                "low": array(_CURVE, "float64", _SHARE, _INTERVAL),
                "high": array(_CURVE, "float64", _SHARE, "bootstrap-t, upper"),
                "random_mean": array(_BY_CHANCE, "float64", _SHARE, "random circuits, of the own's layers"),
                "random_low": array(_BY_CHANCE, "float64", _SHARE, "the smallest of them"),
                "random_high": array(_BY_CHANCE, "float64", _SHARE, "the largest of them"),
            },
        ),
        "circuits": since(
            9,
            {
                **_AXES,
                "area": array(_AREA, "float64", _SHARE, "mean of F(k), at most 1, over log k"),
                "area_low": array(_AREA, "float64", _SHARE, _INTERVAL),
                "area_high": array(_AREA, "float64", _SHARE, "bootstrap-t, upper"),
                "p_random": array(
                    _AREA, "float64", "probability", "(1 + random circuits with as large an area) / (1 + n)"
                ),
                "area_random": array("behaviour experiment", "float64", _SHARE, "mean of random circuits"),
                "area_random_high": array("behaviour experiment", "float64", _SHARE, "their largest"),
                "change": array("behaviour experiment", "float64", "logits", "what shares are of"),
                "n_groups": array("behaviour experiment", "int32", "groups", "in which it is measured"),
                "n_prompts": array("behaviour experiment", "int32", "prompts", "on which it is measured"),
                "reason": array("behaviour experiment", "str", "", "why no share is known; empty: it is"),
                "n_features": array("behaviour circuit", "int32", "features", "in the circuit"),
                "source": array("behaviour", "str", "", "`circuits`, or `importance` where that has none"),
            },
        ),
        # With the partner's values at the span: how much of the partner's effect each part carries.
        "layers": since(
            9,
            {
                "behaviour": array("behaviour", "str", "", "behaviour"),
                "part": array("part", "str", "", f"`{'`, `'.join(SPAN_PARTS)}`"),
                "site": array("site", "int32", "layer", "0-based; -1: all layers"),
                "share": array(_PART, "float64", _SHARE, "of the partner's change of the contrast"),
                "low": array(_PART, "float64", _SHARE, _INTERVAL),
                "high": array(_PART, "float64", _SHARE, "bootstrap-t, upper"),
                "flips": array(_PART, "float64", _SHARE, "of prompts where the partner's sign is another"),
                "random_high": array("behaviour site", "float64", _SHARE, "largest share of random circuits"),
                "n_prompts": array("behaviour", "int32", "prompts", "with a partner of equal length"),
                "n_flips": array("behaviour", "int32", "prompts", "where the partner's sign is another"),
            },
        ),
    },
)
