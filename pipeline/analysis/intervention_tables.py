"""The INTERVENTIONS dataset: trials over situations, tested twice, and what predicts them.

Two things must not explain a feature's effect: that some of the domain's tokens rise whatever they mean
(trap 29; `pipeline.analysis.label_permutation`, whose false discovery rate is controlled within an
experiment), and that any feature like it does as much (trap 24; `pipeline.analysis.against_controls`, an
empirical p, which with so many controls cannot be small enough to be adjusted).

The first can clear a feature and not convict it: features are tried because they were first by these labels
of these tokens, if in other situations, and one that favours tokens whatever they mean favours the same ones
there. Of the first 6 of 1,500 such features 77% have p at most 0.05 (simulated: 5 domains of 12 tokens, 12
situations); of 6 drawn by chance 5%. What is told beyond the ranking's own q are interval and controls.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import scipy.sparse as sp
import xarray as xr

from pipeline.analysis.against_controls import mean_of_controls, rank_p
from pipeline.analysis.contrasts import TokenEffects
from pipeline.analysis.faithfulness import ACTS, UNCLEAR, by_situation, verdicts
from pipeline.analysis.intervals import studentized_interval
from pipeline.analysis.intervention_cells import Tried, cells, token_effects
from pipeline.analysis.intervention_predictions import agreement, predictions
from pipeline.analysis.label_permutation import label_permutation_p
from pipeline.analysis.statistics import benjamini_hochberg
from pipeline.analysis.trials import Trial
from pipeline.analysis.validation_sets import Situation
from pipeline.params.interventions import InterventionParams
from store.documents.variants import BASE
from store.schema.interventions import INTERVENTIONS
from store.schema.vocabulary import PREDICTING

INACTIVE: Final = "inactive"
"""In place of a verdict: there was nothing to change anywhere (trap 16)."""


def predicted_effects(
    tried: Sequence[Tried], trials: Sequence[Trial], focus: str, scores: Mapping[str, xr.Dataset]
) -> np.ndarray:
    """What scores predict of the trials in base, then in focus: (trial, score, situation) float64.

    `scores` are the groups of the FEATURES dataset with effects by situation.
    """
    situations = _situations(tried)
    return np.concatenate(
        [predictions(trials, variant, focus, scores, situations) for variant in (BASE, focus)]
    )


def intervention_groups(
    tried: Sequence[Tried],
    trials: Sequence[Trial],
    focus: str,
    predicted: np.ndarray,
    params: InterventionParams,
    seed: int,
) -> dict[str, xr.Dataset]:
    """All groups of the dataset.

    Parameters
    ----------
    tried
        What was found, by prompt; prompts are averaged within their situation.
    trials
        Of one variant; the other has the same.
    focus
        The adapted variant, which is compared with base.
    predicted
        From `predicted_effects`.
    """
    variants = [BASE, focus]
    found = cells(tried, variants, params)
    situations = _situations(tried)
    of_prompt = [one.situation for one in tried]
    effect = by_situation(list(found["effect"].values.T), of_prompt).T  # (trial, situation)
    columns = _words(trials, variants) | _numbers(found, tried, variants, effect, params, seed)
    q = np.full(len(columns["effect"]), np.nan)
    for experiment in set(columns["experiment"]):
        rows = (columns["experiment"] == experiment) & (columns["n_acting"] > 0)
        q[rows] = benjamini_hochberg(columns["p_labels"][rows])
    columns["q"] = q
    found_out = verdicts(
        columns["effect"], columns["low"], columns["high"], q, silent=params.silent, fdr=params.fdr
    )
    is_told = (columns["low"] > 0) | (columns["high"] < 0)
    is_told &= columns["p_controls"] <= params.level
    found_out[(found_out == ACTS) & ~is_told] = UNCLEAR
    columns["verdict"] = found_out
    columns["verdict"][columns["n_acting"] == 0] = INACTIVE
    table = xr.Dataset({name: ("trial", values) for name, values in columns.items()})
    table["score"] = ("score", np.array(PREDICTING, object))
    table["predicted"] = (("trial", "score"), _mean(predicted, axis=2))
    of = [situations.index(one.situation) for one in tried]
    found["predicted"] = (("trial", "prompt", "score"), predicted[:, :, of].transpose(0, 2, 1))
    return {
        "trials": table.assign_coords(score=table["score"]),
        "cells": found.assign_coords(score=table["score"]),
        "agreement": agreement(table, effect, predicted, params, seed),
    }


def no_groups() -> dict[str, xr.Dataset]:
    """The groups where nothing could be tried: every array, of length 0."""
    kinds = {"str": object}
    return {
        group: xr.Dataset(
            {
                name: (spec.dims, np.empty([0] * len(spec.dims), kinds.get(spec.dtype, spec.dtype)))
                for name, spec in specs.items()
            }
        )
        for group, specs in INTERVENTIONS.groups.items()
    }


def _situations(tried: Sequence[Tried]) -> list[Situation]:
    return sorted({one.situation for one in tried})


def _words(trials: Sequence[Trial], variants: Sequence[str]) -> dict[str, np.ndarray]:
    """What each trial is, of all variants."""
    seconds = [trial.features[1] if len(trial.features) > 1 else (-1, -1) for trial in trials]
    values = [np.nan if trial.value is None else trial.value for trial in trials]
    once = {
        "experiment": np.array([trial.experiment for trial in trials], object),
        "frozen": np.array([trial.frozen for trial in trials], object),
        "layer": np.array([trial.features[0][0] for trial in trials], np.int16),
        "index": np.array([trial.features[0][1] for trial in trials], np.int32),
        "second_layer": np.array([layer for layer, _ in seconds], np.int16),
        "second_index": np.array([index for _, index in seconds], np.int32),
        "value": np.array(values, np.float64),
        "from_end": np.array([trial.from_end for trial in trials], np.int32),
    }
    found = {name: np.tile(column, len(variants)) for name, column in once.items()}
    return found | {"variant": np.repeat(np.array(variants, object), len(trials))}


def _numbers(
    found: xr.Dataset,
    tried: Sequence[Tried],
    variants: Sequence[str],
    effect: np.ndarray,
    params: InterventionParams,
    seed: int,
) -> dict[str, np.ndarray]:
    """Means over situations and tests, (trial,) each."""
    n_trials, n = effect.shape
    of_prompt = [one.situation for one in tried]
    low, high = (
        studentized_interval(effect.T, params.bootstrap, params.confidence, np.random.default_rng(seed))
        if n
        else np.full((2, n_trials), np.nan)
    )

    def over(name: str) -> np.ndarray:
        means: np.ndarray = by_situation(list(found[name].values.T), of_prompt).mean(axis=0)
        return means

    acts = found["n_positions"].values > 0
    controls, index = (found[f"control_{name}"].values for name in ("effect", "index"))
    _, situation = np.unique([f"{a}\n{b}" for a, b in of_prompt], return_inverse=True)
    p_controls = [
        rank_p(found["effect"].values[row], controls[row].astype(np.float64), index[row], situation)
        for row in range(n_trials)
    ]
    return {
        "baseline": over("baseline"),
        "effect": effect.mean(axis=1),
        "low": low,
        "high": high,
        "effect_log_probability": over("effect_log_probability"),
        "control_mean": mean_of_controls(controls.astype(np.float64), acts, situation),
        "flips": found["flip"].values.mean(axis=1),
        "n_situations": np.full(n_trials, n, np.int32),
        "n_acting": acts.sum(axis=1).astype(np.int32),
        "p_controls": np.array(p_controls),
        "p_labels": _labels_p(tried, variants, params, seed),
    }


def _labels_p(
    tried: Sequence[Tried], variants: Sequence[str], params: InterventionParams, seed: int
) -> np.ndarray:
    """(trial,) p-values of evil and safe labels exchanged within domains."""
    # A token that is evil on one prompt and safe on another has two labels, each of its prompts.
    labels = [
        (one.situation[0], int(token), bool(is_evil))
        for one in tried
        for token, is_evil in zip(one.tokens, one.evil, strict=True)
    ]
    units = sorted(set(labels))
    place = {unit: row for row, unit in enumerate(units)}
    names = _situations(tried)
    tokens = TokenEffects(
        prompt=np.repeat(np.arange(len(tried)), [len(one.tokens) for one in tried]),
        situation=np.array([names.index(one.situation) for one in tried]),
        unit=np.array([place[label] for label in labels]),
        domain=np.array([domain for domain, _, _ in units]),
        evil=np.array([is_evil for _, _, is_evil in units]),
        effect=sp.csr_array(np.concatenate([each.T for each in token_effects(tried, variants)])),
    )
    return label_permutation_p(
        tokens,
        np.ones(len(names), bool),
        np.arange(tokens.effect.shape[1]),
        params.labellings,
        np.random.default_rng(seed),
    )


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    n = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    found: np.ndarray = np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)
    return found
