"""Recipes beside recipes of matched features, as a frame; no Streamlit here."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from store.documents.recipe_controls import RecipeControls

_COLUMNS = (
    *("recipe", "variant", "situations", "change", "low", "high"),
    *("control_mean", "control_low", "control_high", "p", "n_controls", "n_situations"),
)


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
    who = zip(table["variant"].values.tolist(), table["setting"].values.tolist(), strict=True)
    row_of = {(str(each), str(setting)): row for row, (each, setting) in enumerate(who)}
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
            rows.append((one.name, one.variant, split.split, *map(float, numbers), p, *counts))
    return pd.DataFrame(rows, columns=list(_COLUMNS))
