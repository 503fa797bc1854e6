"""What an adapter writes to on one prompt: changes by cause, and writes by part, layer and feature."""

import numpy as np
import pandas as pd

from pipeline.analysis.node_scores import TargetContrasts
from store.schema.vocabulary import ADAPTER_PARTS, CAUSES
from store.views.adapter import AdapterView


def cause_changes(view: AdapterView, limit: int) -> pd.DataFrame:
    """The change of targets' centred logits by cause, in long form, largest rise first.

    Parameters
    ----------
    view
        What the adapter writes to on a prompt.
    limit
        At most so many targets: those whose logit changes most.

    Returns
    -------
    pd.DataFrame
        Columns token, cause (a name of `CAUSES`), change, total (float64, logits).
    """
    targets = view.targets
    change = targets["centred_change"].to_numpy(dtype=np.float64)
    kept = np.argsort(-np.abs(change), kind="stable")[:limit]
    kept = kept[np.argsort(-change[kept], kind="stable")]
    by_cause = view.causes.to_numpy(dtype=np.float64)
    tokens = targets["token"].astype(int).to_list()
    rows = [
        {
            "token": tokens[target],
            "cause": cause,
            "change": float(by_cause[target, place]),
            "total": float(change[target]),
        }
        for target in kept
        for place, cause in enumerate(CAUSES)
    ]
    return pd.DataFrame(rows, columns=["token", "cause", "change", "total"])


def change_on(view: AdapterView, one: TargetContrasts) -> tuple[float, float]:
    """Change of one contrast's centred logits, and what of it the pattern (q and k) accounts for; logits."""
    weights = one.on(view.item.arrays["target_token"])[0]
    targets = view.targets
    whole, pattern = (
        float(weights @ targets[name].to_numpy(dtype=np.float64))
        for name in ("centred_change", "pattern_change")
    )
    return whole, pattern


def logit_writes(view: AdapterView, one: TargetContrasts) -> pd.DataFrame:
    """What each part and layer does to one contrast: columns part, layer, direct, total_effect (logits)."""
    writes = view.writes_on_logits()
    weights = dict(
        zip(view.targets["token"].astype(int), one.on(view.item.arrays["target_token"])[0], strict=True)
    )
    weight = writes["token"].astype(int).map(weights).to_numpy(dtype=np.float64)
    weighted = writes.assign(
        part=writes["part"].astype(str),
        direct=writes["direct"] * weight,
        total_effect=writes["total_effect"] * weight,
    )
    summed: pd.DataFrame = weighted.groupby(["part", "layer"], as_index=False, sort=False)[
        ["direct", "total_effect"]
    ].sum()
    return summed


def feature_writes(view: AdapterView) -> pd.DataFrame:
    """Strongest writes on features first.

    Returns
    -------
    pd.DataFrame
        Columns layer, index, part, origin_layer, write (pre-activation, signed,
        summed over positions), activation (summed over positions).
    """
    writes = view.writes_on_features()
    arrays = view.item.arrays
    active = pd.DataFrame(
        {
            "layer": arrays["write_layer"],
            "feature": arrays["write_feature"],
            "activation": arrays["write_value"].astype(np.float64),
        }
    )
    summed = active.groupby(["layer", "feature"], as_index=False).sum()
    frame = writes.assign(part=writes["part"].astype(str)).merge(summed, on=["layer", "feature"])
    frame = frame.iloc[np.argsort(-frame["write"].abs().to_numpy(), kind="stable")].reset_index(drop=True)
    frame = frame.rename(columns={"feature": "index"}).astype(
        {"layer": int, "index": int, "origin_layer": int}
    )
    return frame[["layer", "index", "part", "origin_layer", "write", "activation"]]


def layer_writes(features: pd.DataFrame) -> pd.DataFrame:
    """Writes on features by origin and layer.

    Parameters
    ----------
    features
        As `feature_writes` gives it.

    Returns
    -------
    pd.DataFrame
        Columns origin (``down L1``), layer, size (sum of absolute writes, pre-activation), n.
    """
    origins = zip(features["part"], features["origin_layer"], strict=True)
    sized = features.assign(
        part=pd.Categorical(features["part"], categories=list(ADAPTER_PARTS)),
        origin=[f"{part} L{layer}" for part, layer in origins],
        size=features["write"].abs(),
    )
    summed: pd.DataFrame = (
        sized.groupby(["origin_layer", "part", "origin", "layer"], as_index=False, observed=True)
        .agg(size=("size", "sum"), n=("size", "size"))
        .sort_values(["origin_layer", "part", "layer"])
    )
    return summed[["origin", "layer", "size", "n"]].reset_index(drop=True)
