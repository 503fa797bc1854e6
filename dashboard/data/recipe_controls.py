"""Recipes beside recipes of matched features, as a frame, filtered like trials; no Streamlit here."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from dashboard.data.interventions import ALL, Filters
from pipeline.analysis.recipe_subsets import situation_means
from pipeline.analysis.validation_sets import situation_of
from store.documents.prompts import Prompt
from store.documents.recipe_controls import RecipeControls

_COLUMNS = (
    *("recipe", "variant", "setting", "situations", "change", "low", "high"),
    *("control_mean", "control_low", "control_high", "p", "n_controls", "n_situations"),
)
_TESTED = ("low", "high", "control_mean", "control_low", "control_high", "p")
"""What is known of all prompts together, and of no single domain."""


def controls_frame(recipes: Sequence[RecipeControls], table: xr.Dataset) -> pd.DataFrame:
    """A row a recipe and split in which it was followed.

    Parameters
    ----------
    recipes
        As stage `recipes` tells them.
    table
        The group ``recipes`` of its dataset, which has intervals.

    Returns
    -------
    pandas.DataFrame
        Changes of the probability of evil tokens, of the recipe with its interval, and mean, least and
        largest of its controls; NaN where there are none.
    """
    row_of = _rows(table)
    splits = [str(split) for split in table["split"].values]
    rows = []
    for one in recipes:
        row = row_of.get((one.variant, one.setting))
        for split in one.splits:
            if split.change is None:
                continue
            ends = (np.nan, np.nan)
            if row is not None:
                cell = row, splits.index(split.split)
                ends = float(table["low"].values[cell]), float(table["high"].values[cell])
            others = np.array(split.controls or [np.nan])
            numbers = (split.change, *ends, others.mean(), others.min(), others.max())
            p = np.nan if split.p is None else split.p
            counts = (len(split.controls), split.n_situations)
            who = (one.name, one.variant, one.setting, split.split)
            rows.append((*who, *map(float, numbers), p, *counts))
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def kept(frame: pd.DataFrame, filters: Filters, layers: Mapping[str, set[int]]) -> pd.DataFrame:
    """Recipes in the filters' variant, any of whose features is in their layer.

    Parameters
    ----------
    frame
        From `controls_frame`.
    layers
        In which recipes turn something, by setting.
    """
    keep = frame["variant"] == filters.variant
    if filters.layer is not None:
        keep &= frame["setting"].map(lambda setting: filters.layer in layers.get(setting, ()))
    return frame[keep].reset_index(drop=True)


def of_domain(
    frame: pd.DataFrame,
    table: xr.Dataset,
    of_prompts: xr.Dataset,
    prompts: Mapping[str, Prompt],
    domain: str,
) -> pd.DataFrame:
    """The same over a domain's situations alone: means without intervals and controls.

    Parameters
    ----------
    frame
        From `controls_frame`; recipes without a situation of the domain are left out.
    table, of_prompts
        The groups ``recipes`` and ``map`` of the dataset.
    prompts
        By hash.
    domain
        Its name; `ALL`: the frame as it is.
    """
    if domain == ALL:
        return frame
    known = [prompts.get(str(each)) for each in of_prompts["prompt"].values]
    change = of_prompts["evil_after"].values - of_prompts["evil_before"].values
    row_of = _rows(table)
    found = frame.assign(**dict.fromkeys(_TESTED, np.nan), n_controls=0, change=np.nan, n_situations=0)
    for at, (variant, setting, split) in enumerate(
        zip(frame["variant"], frame["setting"], frame["situations"], strict=True)
    ):
        mine = [
            (place, situation_of(prompt))
            for place, prompt in enumerate(known)
            if prompt and (prompt.domain or "") == domain and prompt.held_out == (split == "held-out")
        ]
        row = row_of.get((variant, setting))
        if row is None or not mine:
            continue
        means = situation_means(change[row, [place for place, _ in mine]], [of for _, of in mine])
        found.loc[at, "n_situations"] = len(means)
        found.loc[at, "change"] = means.mean() if len(means) else np.nan
    return found[found["n_situations"] > 0].reset_index(drop=True)


def _rows(table: xr.Dataset) -> dict[tuple[str, str], int]:
    who = zip(table["variant"].values.tolist(), table["setting"].values.tolist(), strict=True)
    return {(str(variant), str(setting)): row for row, (variant, setting) in enumerate(who)}
