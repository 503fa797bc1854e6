"""What interventions on features do, each beside matched controls: every array."""

from typing import Final

from store.schema.specs import CollectionSchema, DatasetSchema, array, since
from store.schema.vocabulary import CAUSAL, FROZEN

_TRIAL: Final = "trial"
_CELL: Final = "trial prompt"
_MARK: Final = "trial prompt token"
_TARGET: Final = "prompt token"
_CONTROL: Final = "trial prompt control"
_LINE: Final = "line"
_EFFECT: Final = "logits, evil minus safe, intervened minus baseline"
_INTERVAL: Final = "bootstrap-t over situations, lower; NaN: too few"
_SECOND: Final = "of the second feature, where there are two"

INTERVENTIONS: Final = DatasetSchema(
    kind="interventions",
    groups={
        # A trial is what is done to one feature, or to two, in one variant: means over situations.
        "trials": since(
            8,
            {
                "experiment": array(_TRIAL, "str", "", f"`{'`, `'.join(CAUSAL)}`"),
                "variant": array(_TRIAL, "str", "", "in which variant"),
                "frozen": array(_TRIAL, "str", "", f"what stays as it is: `{'`, `'.join(FROZEN)}`"),
                "layer": array(_TRIAL, "int16", "layer", "0-based"),
                "index": array(_TRIAL, "int32", "feature", "index in layer, 0-based"),
                "second_layer": array(_TRIAL, "int16", "layer", f"{_SECOND}; -1: there is one"),
                "second_index": array(_TRIAL, "int32", "feature", f"{_SECOND}; -1: there is one"),
                "value": array(_TRIAL, "float64", "-", "inhibition: how many times; dose: factor; NaN: none"),
                "from_end": array(
                    _TRIAL, "int32", "tokens", "position, 0 the prompt's last; -1: wherever it is active"
                ),
                "baseline": array(_TRIAL, "float64", "logits", "evil minus safe without it"),
                "effect": array(_TRIAL, "float64", _EFFECT, "mean over situations; 0 where it is inactive"),
                "low": array(_TRIAL, "float64", _EFFECT, _INTERVAL),
                "high": array(_TRIAL, "float64", _EFFECT, "bootstrap-t, upper"),
                "effect_log_probability": array(
                    _TRIAL, "float64", "nats", "change of the log-probability of all evil tokens"
                ),
                "control_mean": array(
                    _TRIAL,
                    "float64",
                    _EFFECT,
                    "mean of the controls' over the same situations, 0 where it is inactive; NaN: none",
                ),
                "flips": array(_TRIAL, "float64", "share", "of prompts: the baseline's sign turns"),
                "n_situations": array(_TRIAL, "int32", "situations", "in which it is measured"),
                "n_acting": array(_TRIAL, "int32", "prompts", "on which there is something to change"),
                "p_controls": array(
                    _TRIAL,
                    "float64",
                    "probability",
                    "(1 + matched features with as large an effect) / (1 + n); NaN: none",
                ),
                "p_labels": array(
                    _TRIAL, "float64", "probability", "evil and safe labels exchanged within domains"
                ),
                "q": array(
                    _TRIAL,
                    "float64",
                    "rate",
                    "Benjamini-Hochberg within the experiment, of `p_labels`; NaN: inactive",
                ),
                "verdict": array(
                    _TRIAL,
                    "str",
                    "",
                    "`acts`: not 0, q and p_controls small; `silent`, `unclear`, `inactive`",
                ),
                "score": array("score", "str", "", "what predicts the effect, from the stored graphs"),
                "predicted": array(
                    "trial score",
                    "float64",
                    "the score's",
                    "effect as the score has it; NaN: it says nothing",
                ),
            },
        ),
        # Every trial on every prompt.
        "cells": since(
            8,
            {
                "prompt": array("prompt", "str", "", "prompt hash"),
                "situation": array("prompt", "str", "", "what the prompt is about"),
                "domain": array("prompt", "str", "", "its domain"),
                "partner": array("prompt", "str", "", "hash of the prompt whose values are patched in"),
                "n_shared": array("prompt", "int32", "tokens", "that both end with, and that are patched"),
                "baseline": array(
                    _CELL, "float64", "logits", "evil minus safe; interaction: what both alone add up to"
                ),
                "intervened": array(_CELL, "float64", "logits", "evil minus safe with it"),
                "effect": array(_CELL, "float64", _EFFECT, "0: the feature is inactive there"),
                "effect_log_probability": array(
                    _CELL, "float64", "nats", "change of the log-probability of all evil tokens"
                ),
                "relative": array(
                    _CELL,
                    "float64",
                    "share",
                    "effect by |baseline|; NaN: that is below `interventions.relative_floor`",
                ),
                "flip": array(_CELL, "bool", "", "the baseline's sign turns"),
                "before": array(_CELL, "float32", "activation", "mean over the positions where it acts"),
                "after": array(_CELL, "float32", "activation", "the same, intervened; NaN: it acts nowhere"),
                "second_before": array(_CELL, "float32", "activation", _SECOND),
                "second_after": array(_CELL, "float32", "activation", _SECOND),
                "n_positions": array(_CELL, "int32", "tokens", "at which it acts"),
                "control_effect": array(
                    _CONTROL, "float32", _EFFECT, "the same done to matched features; NaN: fewer match"
                ),
                "control_index": array(
                    _CONTROL,
                    "int32",
                    "feature",
                    "in place of the first, in its layer; -1: none, or that one does nothing there",
                ),
                "score": array("score", "str", "", "as in trials"),
                "predicted": array(
                    "trial prompt score", "float64", "the score's", "of the prompt's situation; NaN: nothing"
                ),
                "p": array(
                    _CELL,
                    "float64",
                    "probability",
                    "(1 + controls with as large an effect) / (1 + n); NaN: none",
                ),
                "token": array(_TARGET, "int32", "token id", "labelled target tokens; -1: no more"),
                "evil": array(_TARGET, "bool", "", "whether it is labelled evil; else safe"),
                "logit_before": array(_MARK, "float32", "logits", "not centred; NaN: no token"),
                "logit_after": array(_MARK, "float32", "logits", "the same, intervened"),
                "log_probability_before": array(_MARK, "float32", "nats", "NaN: no token"),
                "log_probability_after": array(_MARK, "float32", "nats", "the same, intervened"),
                "rank_before": array(_MARK, "int32", "place", "in the distribution, from 1; -1: no token"),
                "rank_after": array(_MARK, "int32", "place", "the same, intervened"),
            },
        ),
        # How predictions agree with what is measured, over features and situations.
        "agreement": since(
            8,
            {
                "experiment": array(_LINE, "str", "", "`ablation` or `transfer`"),
                "variant": array(_LINE, "str", "", "in which variant"),
                "score": array(_LINE, "str", "", "what predicts"),
                "frozen": array(_LINE, "str", "", "what stays as it is"),
                "slope": array(
                    _LINE,
                    "float64",
                    "by the score's",
                    "measured by predicted, least squares through 0",
                ),
                "low": array(_LINE, "float64", "by the score's", _INTERVAL),
                "high": array(_LINE, "float64", "by the score's", "bootstrap-t, upper"),
                "spearman": array(_LINE, "float64", "", "rank correlation over features and situations"),
                "same_sign": array(_LINE, "float64", "share", "of those with both: as predicted"),
                "n_cells": array(_LINE, "int32", "cells", "a feature in a situation, with a prediction"),
            },
        ),
    },
)

_LOGIT: Final = "of labelled tokens"
_ALONE: Final = "what both features of an interaction add up to alone"

TRIED_EFFECTS: Final = CollectionSchema(
    kind="tried_effects",
    arrays=since(
        8,
        {
            "baseline": array("token", "float32", "logits", f"{_LOGIT}, nothing done"),
            "baseline_rank": array("token", "int32", "place", "in the distribution, from 1"),
            "mass": array("whole", "float64", "nats", "log of the sum of all exponentials, nothing done"),
            "effect": array("trial token", "float32", "logits", f"{_LOGIT}: change; 0: nothing to change"),
            "effect_mass": array("trial", "float64", "nats", "change of `mass`"),
            "added": array("trial token", "float32", "logits", _ALONE),
            "added_mass": array("trial", "float64", "nats", _ALONE),
            "rank": array("trial token", "int32", "place", "in the distribution, intervened"),
            "before": array("trial member", "float32", "activation", "of each feature; NaN: acts nowhere"),
            "after": array("trial member", "float32", "activation", "the same, intervened"),
            "n_positions": array("trial", "int32", "tokens", "at which it acts"),
            "controls": array("trial control token", "float32", "logits", "as `effect`; NaN: fewer match"),
            "control_index": array(
                "trial control",
                "int32",
                "feature",
                "in place of the trial's first; -1: none, or that one does nothing there",
            ),
        },
    ),
    scalars={},
)
"""Trials by labelled tokens, both in the key: what `interventions` is computed from."""
