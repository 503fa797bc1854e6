"""Which order of features predicts what interventions do? Scores on some situations, effects on others.

A ranking answers one of two questions, and each has its intervention: what a feature does in a
variant, measured by ablating it there; what the adapter changed, measured by giving the feature the
base's activation. Every order is held against every question of its variant, so that those that do
worse stand beside the one that does best.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.intervals import studentized_interval
from pipeline.analysis.scores import LABELLED
from pipeline.analysis.statistics import spearman, spearman_interval
from pipeline.params.validation import ValidationParams
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.rankings import situations_group
from store.schema.vocabulary import ABLATE, RESTORE, SCORES

Situation = tuple[str, str]
"""Domain ('' where there is none) and what the prompt is about."""

_LEVEL: Final = 0.05


Ranking = tuple[str, str]
"""A score and a contrast: what features are ordered by."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A ranking that is held against an intervention in a variant."""

    intervention: str
    variant: str
    ranking: Ranking


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


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which sets of features are measured in a variant.

    Attributes
    ----------
    sample
        (drawn,) rows of the features that are drawn at random.
    top
        (n,) rows of the features that each ranking puts first.
    """

    sample: np.ndarray
    top: Mapping[Ranking, np.ndarray]

    @property
    def singles(self) -> np.ndarray:
        """Rows of all features that are measured by themselves, the sample first."""
        firsts = np.concatenate([np.empty(0, np.int64), *self.top.values()])
        return np.concatenate([self.sample, np.setdiff1d(firsts, self.sample)])

    @property
    def sets(self) -> list[list[int]]:
        """Rows of features that are measured together: each by itself, then the first of each ranking."""
        return [[int(row)] for row in self.singles] + [rows.tolist() for rows in self.top.values()]

    @property
    def compared(self) -> list[int]:
        """Which of the sets stand beside controls: those of rankings' first features."""
        firsts = np.concatenate([np.empty(0, np.int64), *self.top.values()])
        alone = np.flatnonzero(np.isin(self.singles, firsts))
        return [*alone.tolist(), *range(len(self.singles), len(self.sets))]

    def joint(self, ranking: Ranking) -> int:
        """Which of the sets is the first features of a ranking, together."""
        return len(self.singles) + list(self.top).index(ranking)


def orders(focus: str) -> list[Order]:
    """What is held against what, for base and the focus variant."""
    within = {variant: [(score, f"evil-safe|{variant}") for score in LABELLED] for variant in (BASE, focus)}
    of_focus = within[focus] + [(score, f"{focus}-{BASE}") for score in SCORES]
    asked = [(ABLATE, BASE, within[BASE]), (ABLATE, focus, of_focus), (RESTORE, focus, of_focus)]
    return [
        Order(intervention=intervention, variant=variant, ranking=ranking)
        for intervention, variant, rankings in asked
        for ranking in rankings
    ]


def situation_of(prompt: Prompt) -> Situation:
    """What a prompt is about, which is the unit of every test."""
    return prompt.domain or "", prompt.situation


def measured_situations(prompts: Sequence[Prompt]) -> set[Situation]:
    """Where effects are measured: held-out situations, or every second one where none is held out.

    The others are where features are ordered.
    """
    held_out: dict[Situation, bool] = {}
    for prompt in prompts:
        of = situation_of(prompt)
        held_out[of] = held_out.get(of, True) and prompt.held_out
    chosen = {of for of, is_out in held_out.items() if is_out}
    return chosen if chosen else set(sorted(held_out)[1::2])


def predictions(
    groups: Mapping[str, xr.Dataset], found: Sequence[Order], measured: set[Situation]
) -> dict[Ranking, np.ndarray]:
    """(feature,) float64 by ranking: the mean over the situations that are not measured, NaN without any.

    `groups` are those of the FEATURES dataset.
    """
    means = {}
    for score, contrast in dict.fromkeys(order.ranking for order in found):
        table = groups[situations_group(score)]
        situations = zip(table["situation_domain"].values, table["situation"].values, strict=True)
        ordered = np.array([(str(a), str(b)) not in measured for a, b in situations], bool)
        names = [str(name) for name in table["contrast"].values]
        effect = np.empty((0, table.sizes["feature"]))
        if contrast in names:
            effect = table["effect"].values[names.index(contrast)][ordered].astype(np.float64)
        known = effect[~np.isnan(effect).all(axis=1)]
        means[score, contrast] = known.mean(axis=0) if len(known) else np.full(effect.shape[1], np.nan)
    return means


def choose(
    predicted: Mapping[Ranking, np.ndarray], params: ValidationParams, allowed: np.ndarray, seed: int
) -> Choice:
    """Draw features at random, and take those that each ranking puts first, toward harm.

    Parameters
    ----------
    predicted
        Of the rankings that concern a variant.
    params
        How many.
    allowed
        (feature,) bool: active on enough prompts.
    seed
        Of the draw, which is the same for every variant.
    """
    rows = np.flatnonzero(allowed)
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(rows, min(params.features, len(rows)), replace=False))
    top = {
        ranking: rows[np.argsort(-np.nan_to_num(score[rows]), kind="stable")[: params.top]]
        for ranking, score in predicted.items()
    }
    return Choice(sample=sample, top=top)


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
    found, predicted
        From the functions above.
    choices
        By variant; of one sample.
    effects
        By intervention and variant, of the variant's `sets`.
    situation
        (prompt,) int: of the measured prompts; prompts are averaged within their situation.
    """
    sample = choices[BASE].sample
    scores = np.array([predicted[order.ranking][sample] for order in found])
    measured = np.full(scores.shape, np.nan)
    rows = []
    for number, order in enumerate(found):
        choice, of = choices[order.variant], effects[order.intervention, order.variant]
        by_situation = _mean_by(of.effect, situation)
        if len(by_situation):
            measured[number] = by_situation[:, : len(sample)].mean(axis=0)
        place = {int(row): at for at, row in enumerate(choice.singles)}
        singles = [place[int(row)] for row in choice.top[order.ranking]]
        joint = choice.joint(order.ranking)
        beside = {at: row for row, at in enumerate(choice.compared)}
        less = _less_than_controls(of, singles, [beside[at] for at in singles])
        low, high = spearman_interval(
            scores[number],
            -measured[number],
            params.bootstrap,
            params.confidence,
            np.random.default_rng(seed),
        )
        ends = studentized_interval(
            by_situation[:, [joint]], params.bootstrap, params.confidence, np.random.default_rng(seed)
        )
        both = np.nan_to_num(scores[number] * measured[number]) != 0
        rows.append(
            {
                "n_features": len(sample),
                "n_situations": len(by_situation),
                "spearman": spearman(scores[[number]], -measured[[number]])[0],
                "spearman_low": low,
                "spearman_high": high,
                "same_sign": _mean((scores[number] * measured[number] < 0)[both]),
                "n_cases": len(less),
                "beaten": _mean(less),
                "joint_effect": _mean(by_situation[:, joint]),
                "joint_low": ends[0][0],
                "joint_high": ends[1][0],
                "joint_controls": _mean(_of_controls(of, joint, beside[joint], situation)),
            }
        )
    words = {
        "intervention": [order.intervention for order in found],
        "variant": [order.variant for order in found],
        "score": [order.ranking[0] for order in found],
        "contrast": [order.ranking[1] for order in found],
    }
    return {
        "orders": xr.Dataset(
            {name: ("order", np.array(values, dtype=object)) for name, values in words.items()}
            | {
                name: (
                    "order",
                    np.array([row[name] for row in rows], np.int32 if name[:2] == "n_" else np.float64),
                )
                for name in rows[0]
            }
        ),
        "features": xr.Dataset(
            {"predicted": (("order", "feature"), scores), "measured": (("order", "feature"), measured)}
        ),
    }


def _less_than_controls(of: Effects, sets: Sequence[int], compared: Sequence[int]) -> np.ndarray:
    """Of every case that has enough controls: does it take away more harm than 95% of them? (case,) bool."""
    effect, controls = of.effect[:, sets, None], of.controls[:, compared]
    n = np.isfinite(controls).sum(axis=2)
    p = (1 + (controls <= effect).sum(axis=2)) / (1 + n)
    enough = (1 / (1 + n) <= _LEVEL) & (of.effect[:, sets] != 0)
    found: np.ndarray = (p <= _LEVEL)[enough]
    return found


def _of_controls(of: Effects, joint: int, compared: int, situation: np.ndarray) -> np.ndarray:
    """Mean effect of a set's controls by situation, (situation,); 0 where the set itself does nothing."""
    controls = of.controls[:, compared]
    known = np.isfinite(controls)
    total = np.where(known, controls, 0.0).sum(axis=1)
    there = known.any(axis=1) | (of.effect[:, joint] == 0)
    found: np.ndarray = _mean_by((total / np.maximum(known.sum(axis=1), 1))[there, None], situation[there])
    return found[:, 0]


def _mean_by(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """(group, column) means of rows."""
    names, place = np.unique(group, return_inverse=True)
    total = np.zeros((len(names), values.shape[1]))
    np.add.at(total, place, values)
    found: np.ndarray = total / np.bincount(place, minlength=len(names))[:, None]
    return found


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
