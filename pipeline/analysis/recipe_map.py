"""What recipes do on every prompt: evil probability and harmful continuations, before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from pipeline.analysis.intervals import clustered_rate_interval, pooled_rate_icc, studentized_interval
from pipeline.analysis.rates import SPLITS
from pipeline.analysis.validation_sets import situation_of
from store.documents.prompts import Prompt
from store.schema.vocabulary import OUTCOMES

SIDES: Final = ("before", "after")
_UNLABELLED: Final = OUTCOMES.index("unlabelled")


@dataclass(frozen=True, kw_only=True)
class Followed:
    """One recipe on one prompt, on one side.

    Attributes
    ----------
    evil, safe
        Probability of the tokens with that label; NaN: there are none, or it could not be computed.
    harmful, n
        Harmful continuations, and all that are labelled.
    """

    evil: float = np.nan
    safe: float = np.nan
    harmful: int = 0
    n: int = 0


def label_masses(arrays: Mapping[str, np.ndarray], labels: Mapping[int, str]) -> tuple[float, float]:
    """Probability of evil and of safe tokens among those watched; NaN where none has the label.

    Parameters
    ----------
    arrays
        Of an item of `next_tokens`.
    labels
        By token id; a token that is absent is neither.
    """
    probability = np.exp(arrays["watched_log_probability"].astype(np.float64))
    of = np.array([labels.get(token, "") for token in arrays["watched_token"].tolist()], dtype=object)
    evil, safe = (
        float(probability[of == label].sum()) if (of == label).any() else np.nan for label in ("evil", "safe")
    )
    return evil, safe


def outcome_counts(outcomes: np.ndarray) -> tuple[int, int]:
    """Harmful continuations, and all that are labelled, of codes of `OUTCOMES`."""
    return int((outcomes == OUTCOMES.index("harmful")).sum()), int((outcomes != _UNLABELLED).sum())


def recipe_groups(
    recipes: Sequence[tuple[str, str, str]],
    prompts: Sequence[Prompt],
    followed: Mapping[tuple[int, str, str], Followed],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[str, xr.Dataset]:
    """The groups of the RECIPES dataset.

    Prompts of a situation are averaged first; a situation counts only where both sides are known, so that
    both are of the same ones.

    Parameters
    ----------
    recipes
        Name, variant and setting of each.
    prompts
        On which they were followed.
    followed
        By recipe's place, prompt hash and side.
    confidence, resamples, seed
        Of intervals.
    """
    shape = (len(recipes), len(prompts))
    table = {
        f"{name}_{side}": np.array(
            [
                [getattr(followed.get((row, prompt.hash, side), Followed()), name) for prompt in prompts]
                for row in range(len(recipes))
            ],
            np.float64,
        ).reshape(shape)
        for name in ("evil", "safe", "harmful", "n")
        for side in SIDES
    }
    both = (table["n_before"] > 0) & (table["n_after"] > 0)
    n = np.where(both, table["n_before"], 0).astype(np.int32)
    rates = {
        f"harmful_{side}": np.divide(
            table[f"harmful_{side}"], table[f"n_{side}"], out=np.full(shape, np.nan), where=both
        )
        for side in SIDES
    }
    names = np.array([name for name, _, _ in recipes], dtype=object)
    dims = ("recipe", "prompt")
    masses = {f"{name}_{side}": table[f"{name}_{side}"] for name in ("evil", "safe") for side in SIDES}
    return {
        "recipes": _by_split(recipes, prompts, table, both, confidence, resamples, seed),
        "map": xr.Dataset(
            {"n_samples": (dims, n), **{name: (dims, values) for name, values in (masses | rates).items()}},
            coords={
                "recipe": ("recipe", names),
                "prompt": ("prompt", np.array([prompt.hash for prompt in prompts], dtype=object)),
            },
        ),
    }


def recipe_metrics(table: xr.Dataset, fewer: xr.Dataset) -> dict[str, Any]:
    """Metrics: what each recipe does on held-out situations and on seen ones, and with how few features.

    Numbers that are there; `fewer` from `pipeline.analysis.recipe_subsets.subset_group`.
    """
    metrics: dict[str, Any] = {}
    for row, name in enumerate(table["recipe"].values):
        for column, split in enumerate(table["split"].values):
            found = {
                key: round(float(table[key].values[row, column]), 4)
                for key in ("evil_before", "evil_after", "harmful_before", "harmful_after")
                if np.isfinite(table[key].values[row, column])
            }
            if found:
                metrics.setdefault(str(name), {})[str(split)] = found
        few = {
            f"{reached:g}": int(n)
            for reached, n in zip(fewer["reached"].values, fewer["fewest"].values[row], strict=True)
            if n > 0
        }
        if few:
            metrics.setdefault(str(name), {})["fewest_features"] = few
    return metrics


def _by_split(
    recipes: Sequence[tuple[str, str, str]],
    prompts: Sequence[Prompt],
    table: Mapping[str, np.ndarray],
    both: np.ndarray,
    confidence: float,
    resamples: int,
    seed: int,
) -> xr.Dataset:
    situations = sorted({situation_of(prompt) for prompt in prompts})
    place = np.array([situations.index(situation_of(prompt)) for prompt in prompts], np.int64)
    held_out = np.array([prompt.held_out for prompt in prompts], bool)
    shape = (len(recipes), len(SPLITS))
    counts = {name: np.zeros(shape, np.int32) for name in ("n_situations", "n_samples")}
    rates = [f"harmful_{side}{end}" for side in SIDES for end in ("", "_low", "_high")]
    numbers = ("evil_before", "evil_after", "evil_change", "low", "high", *rates)
    found = {name: np.full(shape, np.nan) for name in numbers}
    known = np.isfinite(table["evil_before"]) & np.isfinite(table["evil_after"])
    for row, column in np.ndindex(shape):
        of = held_out == (SPLITS[column] == "held-out")
        mine, cell = of & known[row], (row, column)
        if mine.any():
            before, after = (
                _means(table[f"evil_{side}"][row, mine], place[mine], len(situations)) for side in SIDES
            )
            counts["n_situations"][cell] = len(before)
            found["evil_before"][cell], found["evil_after"][cell] = before.mean(), after.mean()
            found["evil_change"][cell] = (after - before).mean()
            if len(before) > 1:
                rng = np.random.default_rng(seed)
                low, high = studentized_interval((after - before)[:, None], resamples, confidence, rng)
                found["low"][cell], found["high"][cell] = low[0], high[0]
        mine = of & both[row]
        if mine.any():
            n, *harmful = (
                np.bincount(place[mine], table[name][row, mine], len(situations))
                for name in ("n_before", "harmful_before", "harmful_after")
            )
            counts["n_samples"][cell] = int(n.sum())
            icc = pooled_rate_icc((each, n) for each in harmful)
            for side, each in zip(SIDES, harmful, strict=True):
                low_high = clustered_rate_interval(each, n, confidence, icc=icc)
                values = (each.sum() / n.sum(), *low_high)
                for end, value in zip(("", "_low", "_high"), values, strict=True):
                    found[f"harmful_{side}{end}"][cell] = value
    columns = [np.array([each[part] for each in recipes], dtype=object) for part in range(3)]
    dims = ("recipe", "split")
    return xr.Dataset(
        {
            "variant": ("recipe", columns[1]),
            "setting": ("recipe", columns[2]),
            **{name: (dims, values) for name, values in (counts | found).items()},
        },
        coords={
            "recipe": ("recipe", columns[0]),
            "split": ("split", np.array(SPLITS, dtype=object)),
        },
    )


def _means(values: np.ndarray, place: np.ndarray, n: int) -> np.ndarray:
    """Mean of each situation that has values."""
    counted = np.bincount(place, minlength=n)
    return np.bincount(place, values, n)[counted > 0] / counted[counted > 0]
