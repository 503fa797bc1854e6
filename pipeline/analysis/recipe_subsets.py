"""With how few features does a recipe keep its effect? Found on some situations, measured on others.

What a feature is worth is the mean of what it does alone and of what is lost without it, so that neither one
of two that do the same, nor one that acts only beside another, counts for nothing: the first and the last
term of its Shapley value (Shapley 1953). The first k by that order are then done to the model, on situations
that had no part in it. Another k features may do more: what is found is an upper bound of the fewest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.faithfulness import fewest, fractions, interval
from pipeline.params.recipes import RecipeParams

UNKNOWN: Final = -1
"""In place of a number of features."""


@dataclass(frozen=True, kw_only=True)
class Subsets:
    """The first k features of one recipe, for every k.

    Attributes
    ----------
    name
        The recipe's.
    members
        Layer and index of its k-th feature.
    settings
        Digest of what the first k do.
    worth
        (2, k) what the k-th does alone, and what is lost without it, probability; NaN: not known.
    change
        (situation, k) float64 change of the probability of evil tokens by the first k; the last is of all.
    """

    name: str
    members: Sequence[tuple[int, int]]
    settings: Sequence[str]
    worth: np.ndarray
    change: np.ndarray


def situation_means(values: np.ndarray, situations: Sequence[tuple[str, str]]) -> np.ndarray:
    """Means of (..., prompt) over each situation's prompts, (situation, ...); unknown prompts are left out.

    A prompt counts where all its values are known, so that what is compared is of the same ones.
    """
    known = np.isfinite(values).all(axis=tuple(range(values.ndim - 1)))
    of = sorted({one for one, is_known in zip(situations, known, strict=True) if is_known})
    rows = [[at for at, one in enumerate(situations) if one == each and known[at]] for each in of]
    means = [values[..., mine].mean(axis=-1) for mine in rows]
    return np.stack(means) if means else np.empty((0, *values.shape[:-1]))


def worth_of(alone: np.ndarray, without: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """What each feature does alone, and what is lost without it, means over situations: (2, feature).

    Parameters
    ----------
    alone, without
        (situation, feature) change by it alone, and by all others.
    whole
        (situation,) change by all.
    """
    if not len(whole):
        return np.full((2, alone.shape[1]), np.nan)
    return np.stack([alone.mean(axis=0), (whole[:, None] - without).mean(axis=0)])


def order_of(worth: np.ndarray, whole: float) -> list[int]:
    """Features by what they add to an effect of this sign, most first; ties in the recipe's order."""
    sign = -1.0 if whole < 0 else 1.0
    score = np.nan_to_num(sign * worth.mean(axis=0), nan=0.0)
    return [int(place) for place in np.argsort(-score, kind="stable")]


def reason_of(change: np.ndarray, low: float, high: float, params: RecipeParams) -> str:
    """Why no share of a recipe's effect is known; empty: it is. `change` (situation,), with its interval."""
    if len(change) < params.min_situations:
        return (
            f"{len(change)} situations with evil tokens are too few: recipes.min_situations is "
            f"{params.min_situations}"
        )
    if not (low > 0 or high < 0):
        return "what the whole recipe does cannot be told from nothing on these situations"
    return ""


def subset_group(
    recipes: Sequence[Subsets], params: RecipeParams, *, confidence: float, resamples: int, seed: int
) -> xr.Dataset:
    """The group ``fewer`` of the RECIPES dataset: a row the first k features of a recipe."""
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("change", "low", "high", "share")}
    rows |= {"share_low": [], "share_high": []}
    few = np.full((len(recipes), len(params.reached)), UNKNOWN, np.int32)
    reasons = []
    for row, one in enumerate(recipes):
        n, ks = len(one.change), range(1, len(one.members) + 1)
        change = one.change

        def mean(at: np.ndarray, change: np.ndarray = change) -> np.ndarray:
            found: np.ndarray = change[at].mean(axis=0)
            return found

        def share(at: np.ndarray, change: np.ndarray = change) -> np.ndarray:
            return fractions(change[at], change[at, -1])

        nothing = (np.full(len(ks), np.nan),) * 3
        low, high = interval(mean, n, resamples, confidence, seed) if n else nothing[:2]
        reason = reason_of(change[:, -1], float(low[-1]), float(high[-1]), params)
        shares = nothing
        if not reason:
            shares = (share(np.arange(n)), *interval(share, n, resamples, confidence, seed))
            few[row] = [fewest(shares[0], ks, reached) for reached in params.reached]
        reasons.append(reason)
        columns = (mean(np.arange(n)) if n else nothing[0], low, high, *shares)
        for name, values in zip(rows, columns, strict=True):
            rows[name].append(values)
    sizes = [len(one.members) for one in recipes]
    return xr.Dataset(
        {
            "fewest": (("recipe", "reached"), few),
            "reason": ("recipe", np.array(reasons, object)),
            "n_situations": ("recipe", np.array([len(one.change) for one in recipes], np.int32)),
            "of": ("subset", np.repeat(np.arange(len(recipes), dtype=np.int32), sizes)),
            "k": ("subset", np.concatenate([np.empty(0, np.int32), *(_counted(n) for n in sizes)])),
            "setting": ("subset", np.array([each for one in recipes for each in one.settings], object)),
            **{
                name: (
                    "subset",
                    np.array([member[part] for one in recipes for member in one.members], dtype),
                )
                for part, (name, dtype) in enumerate((("layer", np.int16), ("index", np.int32)))
            },
            **{
                name: ("subset", np.concatenate([np.empty(0), *(one.worth[part] for one in recipes)]))
                for part, name in enumerate(("alone", "lost"))
            },
            **{name: ("subset", np.concatenate([np.empty(0), *values])) for name, values in rows.items()},
        },
        coords={
            "recipe": ("recipe", np.array([one.name for one in recipes], object)),
            "reached": ("reached", np.array(params.reached, np.float64)),
        },
    )


def _counted(n: int) -> np.ndarray:
    return np.arange(1, n + 1, dtype=np.int32)
