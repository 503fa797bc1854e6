"""What scores predict of interventions, and how far that agrees with what is measured."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.faithfulness import interval
from pipeline.analysis.statistics import spearman
from pipeline.analysis.trials import Trial
from pipeline.analysis.validation_sets import Situation
from pipeline.params.interventions import InterventionParams
from store.documents.variants import BASE
from store.schema.rankings import situations_group
from store.schema.vocabulary import ABLATION, FROZEN, NOTHING, PREDICTING, TRANSFER

_CHANGE: Final = "change"


def predictions(
    trials: Sequence[Trial],
    variant: str,
    focus: str,
    scores: Mapping[str, xr.Dataset],
    situations: Sequence[Situation],
) -> np.ndarray:
    """Effects as scores predict them, (trial, score, situation) float64; NaN where they do not.

    A score is what is lost if a feature is ablated, so that a multiple by a factor makes (factor - 1) times
    it. `change` is what the adapter's change of the feature does: it is gained where base is given the
    adapted value, and lost where the adapted variant is given the base's.
    """
    found = np.full((len(trials), len(PREDICTING), len(situations)), np.nan)
    for column, score in enumerate(PREDICTING):
        table = scores[situations_group(score)]
        contrast = f"{focus}-{BASE}" if score == _CHANGE else f"evil-safe|{variant}"
        contrasts = [str(name) for name in table["contrast"].values]
        if contrast not in contrasts:
            continue
        effect = table["effect"].values[contrasts.index(contrast)]
        keys = zip(table["situation_domain"].values, table["situation"].values, strict=True)
        known = {(str(domain), str(about)): row for row, (domain, about) in enumerate(keys)}
        rows = [(at, known[of]) for at, of in enumerate(situations) if of in known]
        names = zip(table["layer"].values.tolist(), table["index"].values.tolist(), strict=True)
        features = {feature: place for place, feature in enumerate(names)}
        for row, trial in enumerate(trials):
            factor = _times(trial, score, variant)
            at = [features.get(feature) for feature in trial.features]
            if factor is None or None in at:
                continue
            for where, situation in rows:
                found[row, column, where] = factor * effect[situation, at].astype(np.float64).sum()
    return found


def _times(trial: Trial, score: str, variant: str) -> float | None:
    """How many times the score a trial's effect should be; None where it says nothing of it."""
    if score == _CHANGE:
        if trial.experiment != TRANSFER:
            return None
        return 1.0 if variant == BASE else -1.0
    factor = trial.factor
    return None if factor is None else factor - 1


def agreement(
    table: xr.Dataset, effect: np.ndarray, predicted: np.ndarray, params: InterventionParams, seed: int
) -> xr.Dataset:
    """The group ``agreement``: the measured by the predicted, over features and situations.

    Parameters
    ----------
    table
        The group ``trials``, with its words.
    effect, predicted
        (trial, situation) and (trial, score, situation) float64.
    """
    lines = []
    variants = list(dict.fromkeys(table["variant"].values))
    asked = [(ABLATION, score, frozen) for score in PREDICTING if score != _CHANGE for frozen in FROZEN]
    for variant in variants:
        for experiment, score, frozen in [*asked, (TRANSFER, _CHANGE, NOTHING)]:
            rows = (
                (table["variant"].values == variant)
                & (table["experiment"].values == experiment)
                & (table["frozen"].values == frozen)
            )
            x, y = predicted[rows, PREDICTING.index(score)], effect[rows]
            words = {"experiment": experiment, "variant": variant, "score": score, "frozen": frozen}
            lines.append(words | _line(x, y, params, seed))
    names = list(lines[0])
    kinds = {"n_cells": np.int32} | dict.fromkeys(
        ("slope", "low", "high", "spearman", "same_sign"), np.float64
    )
    return xr.Dataset(
        {name: ("line", np.array([line[name] for line in lines], kinds.get(name, object))) for name in names}
    )


def followed(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """How measured effects follow predicted ones, without an interval.

    Parameters
    ----------
    x, y
        (feature, situation) float64 predicted and measured; a situation counts where all of x is known.

    Returns
    -------
    dict
        `slope` (of least squares through 0), `spearman`, `same_sign` (share of those with both signs) and
        `n_cells`; NaN where nothing is predicted.
    """
    known = np.isfinite(x).all(axis=0)  # a situation whose prompts were scored
    x, y = x[:, known], y[:, known]
    if not x.any():
        return dict.fromkeys(("slope", "spearman", "same_sign"), float("nan")) | {"n_cells": x.size}
    signs = (x * y)[x * y != 0]
    return {
        "slope": float(_slope(x, y)),
        "spearman": float(spearman(x.reshape(1, -1), y.reshape(1, -1))[0]),
        "same_sign": float((signs > 0).mean()) if signs.size else float("nan"),
        "n_cells": x.size,
    }


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    size = (x**2).sum()
    return np.array((x * y).sum() / size if size else np.nan)


def _line(x: np.ndarray, y: np.ndarray, params: InterventionParams, seed: int) -> dict[str, float]:
    """The same with the slope's interval over situations."""
    found = followed(x, y)
    if np.isnan(found["slope"]):
        return found | dict.fromkeys(("low", "high"), float("nan"))
    known = np.isfinite(x).all(axis=0)
    x, y = x[:, known], y[:, known]
    low, high = interval(
        lambda rows: _slope(x[:, rows], y[:, rows]),
        x.shape[1],
        params.bootstrap,
        params.confidence,
        seed,
    )
    return found | {"low": float(low), "high": float(high)}
