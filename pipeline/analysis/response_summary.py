"""What features of whole answers come to: how many are found, and how far the token-level ranking agrees."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pipeline.analysis.scores import feature_key
from pipeline.analysis.stability import FIRST
from pipeline.analysis.statistics import spearman
from store.schema.answer_features import READERS
from store.schema.vocabulary import ALL


def response_summary(groups: Mapping[str, xr.Dataset], ranking: xr.Dataset, fdr: float) -> dict[str, Any]:
    """Metrics by judge and variant, of means over answers as who wrote them reads them.

    Parameters
    ----------
    groups
        Of the RESPONSE_FEATURES dataset.
    ranking
        The group `ranking` of the FEATURES dataset, by `direct`.
    fdr
        Level below which q counts as found.

    Returns
    -------
    dict
        Features that are tested and found; of the first 20 toward misaligned answers, the share that is
        among the first 20 toward evil tokens (``evil-safe|VARIANT``); and the rank correlation of both over
        the features that both have. null: that variant's tokens are not ranked. What was not
        tested is absent.
    """
    about, metrics = groups["contrasts"], dict[str, Any]()
    for row in range(about.sizes["contrast"]):
        judge, variant, reader, reason = (
            str(about[name].values[row]) for name in ("judge", "variant", "reader", "reason")
        )
        if reason or reader != READERS[0]:
            continue
        table = groups["ranking"].sel(statistic="mean").isel(contrast=row)
        metrics.setdefault(judge, {})[variant] = {
            "tested_features": int(np.isfinite(table["p"].values).sum()),
            "found_features": int((table["q"].values <= fdr).sum()),
            **_agreement(table, ranking, f"evil-safe|{variant}"),
        }
    return metrics


def _agreement(table: xr.Dataset, ranking: xr.Dataset, contrast: str) -> dict[str, float | None]:
    if contrast not in ranking["contrast"].values:
        return {"first_in_common": None, "spearman": None}
    answers, tokens = (
        _known(feature_key(of["layer"].values, of["index"].values), of[name].values.astype(np.float64))
        for of, name in ((table, "standardized"), (ranking.sel(contrast=contrast, domain=ALL), "effect"))
    )
    in_both = [np.isin(mine, other) for mine, other in ((answers[0], tokens[0]), (tokens[0], answers[0]))]
    values = [of[1][here][None] for of, here in zip((answers, tokens), in_both, strict=True)]
    found = spearman(*values)[0]
    bad, evil = (keys[np.argsort(-value, kind="stable")[:FIRST]] for keys, value in (answers, tokens))
    return {
        "first_in_common": round(int(np.isin(bad, evil).sum()) / FIRST, 4),
        "spearman": None if np.isnan(found) else round(float(found), 4),
    }


def _known(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keys in their order, and values, of features that have one."""
    order = np.argsort(keys)
    order = order[np.isfinite(values[order])]
    return keys[order], values[order]
