"""How much of what the adapter did features carry, as frames and in a sentence; no Streamlit here."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from dashboard.data import readers
from dashboard.style.score_names import describe
from dashboard.style.text import count, interval, number
from store.schema.vocabulary import EXPERIMENTS, GIVEN, GIVEN_WITH_ADAPTER, TAKEN

_DATASET: Final = "faithfulness"
DONE: Final[Mapping[str, str]] = {
    GIVEN: "base, with the first k features at the adapted model's activations",
    TAKEN: "the adapted model, with the first k features at base's activations",
    GIVEN_WITH_ADAPTER: "base, with the first k features at the adapted model's activations and "
    "with what the adapter writes through MLPs",
}
"""What is done in each experiment, in words."""
_BEYOND: Final[Mapping[str, str]] = {"response": "response level", "eap_ig": "EAP-IG"}


def order_name(order: str) -> str:
    """An order in words.

    >>> order_name("total_effect"), order_name("eap_ig")
    ('total effect', 'EAP-IG')
    """
    return _BEYOND.get(order) or describe(order).label


def frames(name: str, experiment: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Curves (a row an order and k), the random orders' band by k, and the table of orders."""
    table, orders = readers.dataset(name, _DATASET, "curves"), readers.dataset(name, _DATASET, "orders")
    row, ks = EXPERIMENTS.index(experiment), table["k"].values
    random = {part: table[f"random_{part}"].values[row] for part in ("mean", "low", "high")}
    of_matched = table["matched_mean"].values
    found = []
    for column, order in enumerate(map(str, table["order"].values)):
        values = {part: table[part].values[row, column] for part in ("fraction", "low", "high")}
        matched = of_matched[column] if experiment == GIVEN else np.full(len(ks), np.nan)
        found.append(
            pd.DataFrame(
                {"order": order_name(order), "k": ks, **values, "random": random["mean"], "matched": matched}
            )
        )
    band = pd.DataFrame({"k": ks, "low": random["low"], "high": random["high"]})
    columns = ("area", "area_low", "area_high", "fewest", "fewest_sure", "p_random")
    summary = pd.DataFrame({column: orders[column].values[row] for column in columns})
    is_given = experiment == GIVEN
    for beside in ("area_matched", "p_matched"):
        summary[beside] = orders[beside].values if is_given else np.nan
    summary.insert(0, "order", [order_name(str(order)) for order in orders["order"].values])
    summary["area_random"] = orders["area_random"].values[row]
    return (
        pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["order", "fraction"]),
        band,
        summary.sort_values("area", ascending=False, kind="stable"),
    )


def verdict(difference: xr.Dataset, summary: pd.DataFrame, experiment: str) -> str:
    """What was found in one sentence or two; `summary` from `frames`."""
    one = {name: values.values[0] for name, values in difference.items()}
    if one["reason"]:
        return f"No share is known: {one['reason']}."
    whole = (
        f"On {count(int(one['n_situations']))} other situations the adapter moves the log-odds of evil "
        f"against safe tokens by {number(float(one['change']), sign=True)} "
        f"{interval(float(one['low']), float(one['high']))}"
    )
    if summary.empty:
        return f"{whole}. No feature was active in enough of the situations that order them."
    best = summary.iloc[0]
    few = int(best["fewest"])
    half = (
        f"its first {count(few)} carry half of it"
        if few > 0
        else "not even its longest list of features carries half of it"
    )
    return f"{whole}. In {DONE[experiment]}, the order by {best['order']} has the largest area: {half}."
