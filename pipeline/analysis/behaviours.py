"""What variants can do: by how much right answers are more probable than wrong ones, and how often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.intervals import clustered_rate_interval, pooled_rate_icc
from pipeline.params.behaviours import BehaviourParams
from store.documents.behaviour_prompts import SPLITS, BehaviourPrompt
from store.schema.vocabulary import ALL

PARTS: Final = (ALL, *SPLITS)
_CELL: Final = ("variant", "behaviour", "split")
_RATES: Final = (
    *("accuracy", "low", "high", "sign_accuracy", "mean", "median", "deviation"),
    *("decision", "decision_accuracy", "correct_tokens", "incorrect_tokens"),
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one variant does on prompts, each array (prompt,) float64, NaN where it could not be measured.

    Attributes
    ----------
    correct, incorrect
        Mean log-probability a token (nats) of either answer.
    decision
        Logit of the right answer's token minus the wrong one's where they first differ.
    """

    correct: np.ndarray
    incorrect: np.ndarray
    decision: np.ndarray


def answer_means(log_prob: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean log-probability a token of right and of wrong answers, (prompt,) float64 each.

    Parameters
    ----------
    log_prob
        (answer_token,) of answers end to end, right and wrong in turn.
    start
        (2 * prompt,) where each begins.
    """
    ends = np.append(start[1:], len(log_prob))
    sums = np.add.reduceat(log_prob.astype(np.float64), start) if len(start) else np.empty(0)
    means = sums / (ends - start)
    return means[::2], means[1::2]


def behaviour_groups(
    prompts: Sequence[BehaviourPrompt], measured: Mapping[str, Measured], params: BehaviourParams
) -> dict[str, xr.Dataset]:
    """The groups of the BEHAVIOURS dataset.

    A prompt succeeds if its right answer's mean log-probability a token exceeds the wrong one's by more than
    the behaviour's `success`; a variant passes where the share that succeeds is `passing` or more. The
    share's interval is over groups (`clustered_rate_interval`), whose prompts are taken to be at least as
    alike as those of all variants are.

    Parameters
    ----------
    prompts
        Of all behaviours.
    measured
        By variant, in the order of the tables; arrays in the order of the prompts.
    params
        Bars, and the intervals' level.
    """
    variants = list(measured)
    names = list(dict.fromkeys(each.behaviour for each in prompts))
    table = {
        name: np.array([getattr(measured[variant], name) for variant in variants], np.float64).reshape(
            len(variants), len(prompts)
        )
        for name in ("correct", "incorrect", "decision")
    }
    difference = table["correct"] - table["incorrect"]
    bar = np.array([params.bar_of(each.behaviour).success for each in prompts], np.float64)
    # NaN exceeds nothing.
    succeeds = difference > bar.reshape(1, -1)
    words = {name: _words([getattr(each, name) for each in prompts]) for name in ("behaviour", "split")}
    one = xr.Dataset(
        {
            **{name: (("variant", "prompt"), values) for name, values in table.items()},
            "difference": (("variant", "prompt"), difference),
            "succeeds": (("variant", "prompt"), succeeds),
            "prompt_hash": ("prompt", _words([each.hash for each in prompts])),
            **{name: ("prompt", values) for name, values in words.items()},
        },
        coords={"variant": ("variant", _words(variants))},
    )
    return {"summary": _summary(prompts, one, names, params), "prompts": one}


def passing(summary: xr.Dataset) -> dict[str, Any]:
    """Metrics by behaviour and variant over all prompts: whether it passes, accuracy, interval, means.

    A variant that could not be measured is absent.
    """
    metrics: dict[str, Any] = {}
    for behaviour in summary["behaviour"].values:
        for variant in summary["variant"].values:
            cell = summary.sel(behaviour=behaviour, variant=variant, split=ALL)
            if int(cell["n"]):
                found = {
                    name: round(float(cell[name]), 4)
                    for name in ("accuracy", "low", "high", "sign_accuracy", "mean", "decision")
                }
                of = metrics.setdefault(str(behaviour), {})
                of[str(variant)] = {"passes": bool(cell["passes"]), **found}
    return metrics


def _summary(
    prompts: Sequence[BehaviourPrompt], one: xr.Dataset, names: Sequence[str], params: BehaviourParams
) -> xr.Dataset:
    shape = (one.sizes["variant"], len(names), len(PARTS))
    count = {name: np.zeros(shape, np.int32) for name in ("n", "n_groups")}
    rate = {name: np.full(shape, np.nan) for name in _RATES}
    tokens = {
        f"{side}_tokens": np.array([len(getattr(each, f"{side}_ids")) for each in prompts], np.float64)
        for side in ("correct", "incorrect")
    }
    split = np.array([each.split for each in prompts], dtype=object)
    behaviour = np.array([each.behaviour for each in prompts], dtype=object)
    groups = np.array([each.group for each in prompts], dtype=object)
    values = {name: one[name].values for name in ("difference", "decision", "succeeds")}
    for b, name in enumerate(names):
        of = behaviour == name
        _, place = np.unique(groups[of].astype(str), return_inverse=True)
        there = ~np.isnan(values["difference"][:, of])  # (variant, prompt)
        events = _by_group(values["succeeds"][:, of], place)
        icc = pooled_rate_icc(zip(events, _by_group(there, place), strict=True))
        for v, p in np.ndindex(shape[0], len(PARTS)):
            rows = there[v] & ((split[of] == PARTS[p]) | (PARTS[p] == ALL))
            cell = v, b, p
            count["n"][cell], count["n_groups"][cell] = rows.sum(), len(set(place[rows]))
            if not rows.any():
                continue
            difference, decision, succeeds = (values[each][v, of][rows] for each in values)
            rate["accuracy"][cell] = succeeds.mean()
            rate["low"][cell], rate["high"][cell] = clustered_rate_interval(
                np.bincount(place[rows], succeeds), np.bincount(place[rows]), params.confidence, icc=icc
            )
            rate["sign_accuracy"][cell], rate["mean"][cell] = (difference > 0).mean(), difference.mean()
            rate["median"][cell] = np.median(difference)
            if len(difference) > 1:
                rate["deviation"][cell] = difference.std(ddof=1)
            rate["decision"][cell], rate["decision_accuracy"][cell] = decision.mean(), (decision > 0).mean()
            for side, lengths in tokens.items():
                rate[side][cell] = lengths[of][rows].mean()
    bars = [params.bar_of(name) for name in names]
    required = np.array([bar.passing for bar in bars], np.float64)
    return xr.Dataset(
        {
            **{name: (_CELL, array) for name, array in {**count, **rate}.items()},
            "success": ("behaviour", np.array([bar.success for bar in bars], np.float64)),
            "passing": ("behaviour", required),
            "passes": (_CELL, rate["accuracy"] >= required[None, :, None]),
        },
        coords={
            "variant": one["variant"],
            "behaviour": ("behaviour", _words(names)),
            "split": ("split", _words(PARTS)),
        },
    )


def _by_group(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Sums over the prompts of each group, (variant, group)."""
    found: np.ndarray = np.array([np.bincount(place, row) for row in values]).reshape(len(values), -1)
    return found


def _words(names: Sequence[str]) -> np.ndarray:
    return np.array(names, dtype=object)
