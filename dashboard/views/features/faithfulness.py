"""How much of what the adapter did do features carry? F(k) by order, areas, and features that do nothing."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.data import faithfulness, names, readers
from dashboard.shell import downloads, query
from dashboard.shell.guard import guard
from dashboard.style.text import count, number, plain, share_interval
from dashboard.views.features import adapter_nodes
from dashboard.widgets import carried
from store.base.errors import StoreError, UserError
from store.schema.vocabulary import EXPERIMENTS, GIVEN, GIVEN_WITH_ADAPTER, SCORES, TAKEN

_DATASET: Final = "faithfulness"
_CHOICES: Final[Mapping[str, str]] = {GIVEN: "given", TAKEN: "taken", GIVEN_WITH_ADAPTER: "with adapter"}


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


def silent_frame(name: str) -> pd.DataFrame:
    """The first features of all orders given by themselves, the largest effect first."""
    table = readers.dataset(name, _DATASET, "features")
    orders = [faithfulness.order_name(str(order)) for order in table["order"].values]
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
        found = carried.carried(name, experiment)
        difference = readers.dataset(name, _DATASET, "difference")
        st.caption(plain(faithfulness.verdict(difference, found.summary, experiment)))
        st.caption(plain(decided))
        if found.figure is not None:
            carried.draw(found, experiment)
            _orders(found.summary)
        adapter_nodes.show(name, experiment)
        _single(name)


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
