"""Which order of features predicts what interventions do? Scores on some situations, effects on others.

Every order is held against the question of its variant, so that those that do worse stand beside the
one that does best; `pipeline.analysis.validation_sets` says which and where.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.intervals import studentized_interval
from pipeline.analysis.statistics import spearman, spearman_interval
from pipeline.analysis.validation_sets import Choice, Order, Ranking
from pipeline.params.validation import ValidationParams
from store.documents.variants import BASE

_LEVEL: Final = 0.05
_WITHOUT_SIDE: Final = "activation"
"""A score that predicts no direction: more of a feature is not more harm."""


@dataclass(frozen=True, kw_only=True)
class Effects:
    """Measured effects of one intervention in one variant, evil minus safe logits.

    Attributes
    ----------
    effect
        (prompt, set) float64, intervened minus not.
    controls
        (prompt, compared set, control) float64; NaN where fewer match.
    """

    effect: np.ndarray
    controls: np.ndarray


def validation_groups(
    found: Sequence[Order],
    predicted: Mapping[Ranking, np.ndarray],
    choices: Mapping[str, Choice],
    effects: Mapping[tuple[str, str], Effects],
    situation: np.ndarray,
    params: ValidationParams,
    seed: int,
) -> dict[str, xr.Dataset]:
    """The groups of the VALIDATION dataset, without the features' names.

    Parameters
    ----------
    found, predicted, choices
        From `pipeline.analysis.validation_sets`; choices by variant, of one sample.
    effects
        By intervention and variant, of the variant's `sets`.
    situation
        (prompt,) int: of the measured prompts; prompts are averaged within their situation.
    """
    sample = choices[BASE].sample
    scores = np.array([predicted[order.ranking][sample] for order in found])
    measured = np.array(
        [_mean_over(effects[o.intervention, o.variant].effect[:, : len(sample)], situation) for o in found]
    )
    rows = [
        _agreement(order, score, effect, params, seed)
        | _of_first(
            order, choices[order.variant], effects[order.intervention, order.variant], situation, params, seed
        )
        | {"n_situations": len(np.unique(situation))}
        for order, score, effect in zip(found, scores, measured, strict=True)
    ]
    words = {
        "intervention": [order.intervention for order in found],
        "variant": [order.variant for order in found],
        "score": [order.ranking[0] for order in found],
        "contrast": [order.ranking[1] for order in found],
    }
    numbers = {
        name: np.array([row[name] for row in rows], np.int32 if name.startswith("n_") else np.float64)
        for name in rows[0]
    }
    return {
        "orders": xr.Dataset(
            {name: ("order", np.array(values, dtype=object)) for name, values in words.items()}
            | {name: ("order", values) for name, values in numbers.items()}
        ),
        "features": xr.Dataset(
            {"predicted": (("order", "feature"), scores), "measured": (("order", "feature"), measured)}
        ),
    }


def _agreement(
    order: Order, score: np.ndarray, effect: np.ndarray, params: ValidationParams, seed: int
) -> dict[str, float]:
    """How the scores of features drawn at random, (feature,), agree with minus their effects."""
    known = np.isfinite(score) & np.isfinite(effect)
    score, effect = score[known], effect[known]
    rng = np.random.default_rng(seed)  # the same draws for every order
    low, high = spearman_interval(score, -effect, params.bootstrap, params.confidence, rng)
    signs = score * effect
    has_side = order.ranking[0] != _WITHOUT_SIDE
    return {
        "n_features": len(score),
        "spearman": float(spearman(score[None], -effect[None])[0]),
        "spearman_low": low,
        "spearman_high": high,
        "same_sign": _mean(signs[signs != 0] < 0) if has_side else np.nan,
    }


def _of_first(
    order: Order, choice: Choice, of: Effects, situation: np.ndarray, params: ValidationParams, seed: int
) -> dict[str, float]:
    """What the features do that an order puts first: one by one against controls, and together."""
    place = {int(row): at for at, row in enumerate(choice.singles)}
    beside = {at: row for row, at in enumerate(choice.compared)}
    singles = [place[int(row)] for row in choice.top[order.ranking]]
    joint = choice.joint(order.ranking)
    less = less_than_controls(of.effect[:, singles], of.controls[:, [beside[at] for at in singles]])
    told = np.isfinite(less).any(axis=1)
    beaten = _mean_by(np.nanmean(less[told], axis=1, keepdims=True), situation[told])
    together = _mean_by(of.effect[:, [joint]], situation)[:, : int(len(singles) > 0)]
    controls = of.controls[:, beside[joint]]
    matched = np.isfinite(controls).any(axis=1)
    found = {"n_first": float(len(singles)), "n_cases": float(np.isfinite(less).sum())}
    for name, values in (("beaten", beaten), ("joint", together)):
        (low,), (high,) = (
            studentized_interval(values, params.bootstrap, params.confidence, np.random.default_rng(seed))
            if values.size
            else (np.array([np.nan]), np.array([np.nan]))
        )
        found |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    return found | {
        "beaten": _mean(beaten),
        "beaten_low": max(found["beaten_low"], 0.0),
        "beaten_high": min(found["beaten_high"], 1.0),
        "joint_effect": _mean(together),
        "joint_controls": _mean(
            _mean_by(np.nanmean(controls[matched], axis=1, keepdims=True), situation[matched])
        ),
    }


def less_than_controls(effect: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Does it take away more harm than 95% of its controls?

    Parameters
    ----------
    effect, controls
        (prompt, set) and (prompt, set, control) float64; NaN where fewer controls match.

    Returns
    -------
    numpy.ndarray
        (prompt, set) float64: 1 or 0; NaN of no case: it has no effect, or too few controls to tell.
    """
    n = np.isfinite(controls).sum(axis=2)
    p = (1 + (controls <= effect[:, :, None]).sum(axis=2)) / (1 + n)
    is_case = (1 / (1 + n) <= _LEVEL) & (effect != 0)
    return np.where(is_case, p <= _LEVEL, np.nan)


def _mean_over(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(column,) mean over groups of the means of their rows; NaN without rows."""
    means = _mean_by(values, group)
    found: np.ndarray = means.mean(axis=0) if len(means) else np.full(values.shape[1], np.nan)
    return found


def _mean_by(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(group, column) means of rows."""
    names, place = np.unique(group, return_inverse=True)
    total = np.zeros((len(names), values.shape[1]))
    np.add.at(total, place, values)
    found: np.ndarray = total / np.bincount(place, minlength=len(names))[:, None]
    return found


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
