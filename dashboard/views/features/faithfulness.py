"""How much of what the adapter did do features carry? F(k) by order, areas, and features that do nothing."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.charts.faithfulness import curves
from dashboard.data import names, readers
from dashboard.data.project import artifact, fresh
from dashboard.shell import downloads, query
from dashboard.shell.guard import guard
from dashboard.style.score_names import describe
from dashboard.style.text import count, interval, number, plain, share_interval
from dashboard.style.theme import ADAPTED, BASE, HARMFUL, MORE_COLOURS, NEUTRAL
from dashboard.views.features import adapter_nodes
from store.base.errors import StoreError, UserError
from store.schema.vocabulary import EXPERIMENTS, FAITHFUL_ORDERS, GIVEN, GIVEN_WITH_ADAPTER, SCORES, TAKEN

_DATASET: Final = "faithfulness"
_CHOICES: Final[Mapping[str, str]] = {GIVEN: "given", TAKEN: "taken", GIVEN_WITH_ADAPTER: "with adapter"}
_DONE: Final[Mapping[str, str]] = {
    GIVEN: "base, with the first k features at the adapted model's activations",
    TAKEN: "the adapted model, with the first k features at base's activations",
    GIVEN_WITH_ADAPTER: "base, with the first k features at the adapted model's activations and "
    "with what the adapter writes through MLPs",
}
_BEYOND: Final[Mapping[str, str]] = {"response": "response level", "eap_ig": "EAP-IG"}
_COLOURS: Final = dict(
    zip(
        FAITHFUL_ORDERS,
        (BASE, MORE_COLOURS[0], MORE_COLOURS[2], ADAPTED, HARMFUL, MORE_COLOURS[1], NEUTRAL),
        strict=True,
    )
)


def order_name(order: str) -> str:
    """An order in words.

    >>> order_name("total_effect"), order_name("eap_ig")
    ('total effect', 'EAP-IG')
    """
    return _BEYOND.get(order) or describe(order).label


def best_scores(name: str) -> list[str]:
    """Scores whose area under F(k) is as large as any's: its interval reaches the largest.

    Of those that the page ranks by, given to base, in their usual order; none where no share is known.
    """
    try:
        orders = readers.dataset(name, _DATASET, "orders")
    except (StoreError, UserError):
        return []
    row = EXPERIMENTS.index(GIVEN)
    area, high = (
        dict(zip(map(str, orders["order"].values), orders[column].values[row], strict=True))
        for column in ("area", "area_high")
    )
    known = [score for score in SCORES if np.isfinite(area.get(score, np.nan))]
    largest = max((area[score] for score in known), default=np.nan)
    # Without an interval there is the area alone.
    return [score for score in known if max(area[score], np.nan_to_num(high[score], nan=-np.inf)) >= largest]


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
    return f"{whole}. In {_DONE[experiment]}, the order by {best['order']} has the largest area: {half}."


def silent_frame(name: str) -> pd.DataFrame:
    """The first features of all orders given by themselves, the largest effect first."""
    table = readers.dataset(name, _DATASET, "features")
    orders = [order_name(str(order)) for order in table["order"].values]
    rank = table["rank"].values
    columns = ("effect", "fraction", "low", "high", "p", "q", "verdict", "layer", "index")
    frame = pd.DataFrame({column: table[column].values for column in columns})
    frame["orders"] = [
        ", ".join(f"{orders[row]} {rank[row, at]}" for row in np.argsort(rank[:, at]) if rank[row, at] > 0)
        for at in range(len(frame))
    ]
    frame["name"] = names.of_frame(name, frame)
    place = frame["fraction"].abs().fillna(frame["effect"].abs())
    return frame.assign(size=place).sort_values("size", ascending=False, kind="stable").drop(columns="size")


def show(name: str, decided: str) -> None:
    """Draw the curves, the table of orders and the single features.

    `decided` says which score the page ranks by at first, and why.
    """
    with guard("How much of what the adapter did features carry."):
        st.markdown(
            "**How much of the difference do features carry?**",
            help="Features are ordered on some situations. On the others the first k of each order are set, "
            "in the real model, to what they are in the other variant, at every position; attention, norms "
            "and later layers answer. F(k) is the share of the adapter's change of the log-odds of evil "
            "against safe tokens that comes of it: 0 is nothing, 1 all of it.",
        )
        experiment = _experiment()
        table, summary, figure = fresh(
            artifact(name, _DATASET), lambda path, key: _drawn(path, key, name, experiment)
        )
        st.caption(plain(verdict(readers.dataset(name, _DATASET, "difference"), summary, experiment)))
        st.caption(plain(decided))
        if figure is not None:
            downloads.chart(
                figure,
                table,
                f"faithfulness-{_CHOICES[experiment]}",
                key="faithfulness-chart",
                alt=f"Share of the difference by the first k features, in {_DONE[experiment]}.",
            )
            _orders(summary)
        adapter_nodes.show(name, experiment)
        _single(name)


@st.cache_resource(max_entries=8, show_spinner=False)
def _drawn(path: str, key: str, name: str, experiment: str) -> tuple[pd.DataFrame, pd.DataFrame, Any]:
    """Curves, the table of orders, and the chart; None: no share is known. No chosen feature changes them."""
    table, band, summary = frames(name, experiment)
    if not table["fraction"].notna().any():
        return table, summary, None
    params = readers.provenance(name, _DATASET)["parameters"][_DATASET]
    colours = {order_name(order): colour for order, colour in _COLOURS.items()}
    colours = {order: colours[order] for order in table["order"].unique()}
    return table, summary, curves(table, band, colours, reached=float(params["reached"]))


def _experiment() -> str:
    chosen = st.segmented_control(
        "What is done",
        list(_CHOICES.values()),
        default=_CHOICES[GIVEN],
        required=True,
        **query.CARRIED.bound(),
        help="given: base gets the adapted model's activations. taken: the adapted model gets base's, and F "
        "is the share that is undone. with adapter: given, beside what the adapter on MLPs wrote, which "
        "alone is all of the difference where nothing else is adapted.",
    )
    return next(experiment for experiment, word in _CHOICES.items() if word == chosen)


def _orders(summary: pd.DataFrame) -> None:
    def written(values: "pd.Series[Any]") -> list[str]:
        return [count(int(value)) if value >= 0 else "none" for value in values]

    shown = summary.assign(
        written=adapter_nodes.written(summary),
        fewest=written(summary["fewest"]),
        fewest_sure=written(summary["fewest_sure"]),
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="faithfulness",
        placeholder="—",
        column_order=["order", "written", "fewest", "fewest_sure", "p_random", "area_random", "area_matched"],
        column_config={
            "order": st.column_config.TextColumn(
                "order",
                help="A score, by which features are ordered on the other situations; response level: how "
                "they tell misaligned answers from aligned ones; EAP-IG: edge attribution with integrated "
                "gradients, a baseline from outside.",
                width=110,
            ),
            **adapter_nodes.area_columns(),
            "fewest_sure": st.column_config.TextColumn(
                "surely", help="The first k whose interval lies above a half.", width=60
            ),
            "area_matched": st.column_config.NumberColumn(
                "alike",
                format="percent",
                help="Mean area of random features of the same layers that move as far (given only).",
                width=62,
            ),
        },
    )
    downloads.downloads(summary, "faithfulness", key="faithfulness-data")


def _single(name: str) -> None:
    frame = silent_frame(name)
    silent = int((frame["verdict"] == "silent").sum())
    said = (
        f"The first of each order, given one by one: {count(len(frame))} features, of which "
        f"{count(int((frame['verdict'] == 'acts').sum()))} act and {count(silent)} are silent, whatever "
        "their score."
    )
    st.caption(plain(f"{said} {_out_of_reach(name)}".strip()))
    st.dataframe(
        frame.assign(
            interval=[share_interval(a, b) for a, b in zip(frame["low"], frame["high"], strict=True)]
        ),
        hide_index=True,
        key="faithfulness-features",
        placeholder="—",
        height=240,
        column_order=["name", "verdict", "fraction", "interval", "q", "orders"],
        column_config={
            "name": st.column_config.TextColumn("feature", help="Layer and index, and its name.", width=140),
            "verdict": st.column_config.TextColumn(
                "what it does",
                help="silent: its whole interval is within faithfulness.silent of the difference. acts: "
                "it is not, and its q is at most faithfulness.fdr. Else unclear.",
                width=80,
            ),
            "fraction": st.column_config.NumberColumn(
                "share", format="percent", help="Of the difference, by giving it alone to base.", width=60
            ),
            "interval": st.column_config.TextColumn(
                "interval", help="Bootstrap-t over situations.", width=110
            ),
            "q": st.column_config.NumberColumn(
                "q",
                format="%.2g",
                help="Evil and safe labels dealt anew within domains; false discovery rate over all features "
                "that move.",
                width=60,
            ),
            "orders": st.column_config.TextColumn(
                "place in orders", help="Its rank in each order that has it.", width=200
            ),
        },
    )
    downloads.downloads(frame, "faithfulness-features", key="faithfulness-features-data")


def _out_of_reach(name: str) -> str:
    """Where no feature can be found to act, whatever it does, a sentence that says so."""
    difference = readers.dataset(name, _DATASET, "difference")
    fdr = float(readers.provenance(name, _DATASET)["parameters"][_DATASET]["fdr"])
    if "smallest_q" not in difference or not (smallest := float(difference["smallest_q"].values[0])) > fdr:
        return ""
    return (
        "None can be said to act: with so few labelled tokens, dealings of labels or features given, of all "
        f"that move, q cannot be below {number(smallest)}, and faithfulness.fdr is {number(fdr)}."
    )
