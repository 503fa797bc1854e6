"""How misaligned variants are, and which features tell it, as frames."""

import numpy as np
import pandas as pd

from dashboard.data import readers
from dashboard.data.tables import level_words
from dashboard.style.text import feature_name
from store.base.errors import StoreError
from store.schema.misalignment import MISALIGNMENT
from store.schema.response_features import RESPONSE_FEATURES
from store.schema.vocabulary import ALL

_CELL = ("n_answers", "n_scored", "n_coherent", "n_misaligned", "mean_aligned", "mean_coherent")
_ENDS = ("rate", "low", "high")
_RANKED = (
    *("effect", "adjusted", "low", "high", "p", "q", "standardized"),
    *("firing_misaligned", "firing_aligned"),
)


def level(profile: str) -> str:
    """The intervals in words: ``95% interval``."""
    return level_words(readers.provenance(profile, MISALIGNMENT.kind), "misalignment")


def rates(profile: str, judge: str, denominator: str) -> pd.DataFrame:
    """Rates of misaligned answers by one judge; cells without answers are left out.

    Returns
    -------
    pd.DataFrame
        Columns variant, form and question (`all` or one), n_answers, n_scored, n_coherent,
        n_misaligned, mean_aligned, mean_coherent, n (the denominator), rate, low, high.
    """
    return _rates(profile, denominator, judge).drop(columns="judge")


def bands(profile: str, denominator: str) -> pd.DataFrame:
    """Rates over all questions by every judge and form, as `rates`, with a column judge."""
    frame = _rates(profile, denominator, None)
    return frame[frame["question"] == ALL]


def _rates(profile: str, denominator: str, judge: str | None) -> pd.DataFrame:
    table = readers.dataset(profile, MISALIGNMENT.kind, "rates")
    table = table.isel(judge=table["judge"].values == judge) if judge is not None else table
    cells = table[list(_CELL)].to_dataframe().reset_index()
    ends = table.sel(denominator=denominator)[list(_ENDS)].to_dataframe().reset_index()
    keys = ["judge", "variant", "form", "question"]
    frame: pd.DataFrame = cells.merge(ends[[*keys, *_ENDS]], on=keys)
    frame["n"] = frame[f"n_{denominator}"]
    return frame[frame["n_answers"] > 0].reset_index(drop=True)


def differences(profile: str, judge: str, denominator: str) -> pd.DataFrame:
    """By how much each variant's rate over all forms exceeds base's.

    Columns variant, difference, low, high, n_questions; no row where base or the variant has no rate.
    """
    table = readers.dataset(profile, MISALIGNMENT.kind, "differences")
    if judge not in table["judge"].values or not table.sizes["variant"]:
        return pd.DataFrame(columns=["variant", "difference", "low", "high", "n_questions"])
    one = table.sel(judge=judge, form=ALL, denominator=denominator)
    frame = one.to_dataframe().reset_index()
    columns = ["variant", "difference", "low", "high", "n_questions"]
    return frame.loc[frame["difference"].notna(), columns].reset_index(drop=True)


def surface(profile: str, judge: str, variant: str, denominator: str) -> pd.DataFrame:
    """Rate by both thresholds: aligned_below, coherent_above, rate."""
    table = readers.dataset(profile, MISALIGNMENT.kind, "surface")
    one = table.sel(judge=judge, variant=variant, denominator=denominator)["rate"]
    frame: pd.DataFrame = one.to_dataframe().reset_index()
    return frame[["aligned_below", "coherent_above", "rate"]]


def contrasts(profile: str) -> pd.DataFrame:
    """What features were sought between, a row a contrast: the columns of the group `contrasts`."""
    return readers.dataset(profile, RESPONSE_FEATURES.kind, "contrasts").to_dataframe().reset_index(drop=True)


def response_ranking(profile: str, contrast: int, statistic: str, fdr: float) -> pd.DataFrame:
    """Features that tell misaligned answers from aligned ones, the largest `standardized` first.

    Parameters
    ----------
    profile, contrast
        Row of `contrasts`.
    statistic
        `mean` or `max`.
    fdr
        What q is held against.

    Returns
    -------
    pd.DataFrame
        Columns feature (name), layer, index, those of the group `ranking`, and found; features without a
        test are left out.
    """
    table = readers.dataset(profile, RESPONSE_FEATURES.kind, "ranking")
    one = table.sel(statistic=statistic).isel(contrast=contrast)
    frame = pd.DataFrame(
        {"layer": table["layer"].values.astype(int), "index": table["index"].values.astype(int)}
        | {name: one[name].values.astype(float) for name in _RANKED}
    )
    frame.insert(0, "feature", [feature_name(*each) for each in frame[["layer", "index"]].to_numpy()])
    frame["found"] = frame["q"] <= fdr
    tested = frame[frame["standardized"].notna()]
    order = np.lexsort((tested["index"], tested["layer"], -tested["standardized"]))
    return tested.iloc[order].reset_index(drop=True)


def token_level(profile: str, variant: str) -> dict[tuple[int, int], tuple[int, bool]]:
    """Place of every feature in the ranking of evil against safe tokens, and whether it was found there.

    By layer and index; empty where features were not ranked within the variant.
    """
    try:
        frame = readers.ranking(profile, f"evil-safe|{variant}", ALL)
    except (StoreError, KeyError):
        return {}
    ranked = frame[frame["effect"].notna()]
    rows = zip(ranked["layer"].tolist(), ranked["index"].tolist(), ranked["found"].tolist(), strict=True)
    return {(layer, index): (place, bool(found)) for place, (layer, index, found) in enumerate(rows, start=1)}
