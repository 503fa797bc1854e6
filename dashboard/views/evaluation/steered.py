"""Open questions under steering: what makes base misaligned, and what repairs the adapted model."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.charts import steered as charts
from dashboard.data import names, steered
from dashboard.shell import downloads, query, selection
from dashboard.shell.guard import guard
from dashboard.style.text import count, percent, plain, share_interval
from dashboard.widgets import chosen_feature, row_table
from store.schema.steered import ABLATED, ADDED, FEATURE, MEAN_DIFFERENCE

_SIDES: Final = {ADDED: "added to base", ABLATED: "ablated in the adapted model"}
_COUNTED: Final = {
    ADDED: "misaligned (and so coherent)",
    ABLATED: "coherent and not misaligned",
}
_DRAWN: Final = 20


def show(name: str) -> None:
    """Draw the leaderboards of a profile."""
    with guard("What features do to answers to open questions when they are added to base, or ablated."):
        side = _side()
        frame = steered.entries(name, side)
        plain_row = steered.baseline(frame)
        if plain_row is None:
            st.info(
                "Nothing was steered: it takes two open questions with answers, and a judge of answers that "
                "costs nothing.",
                icon=":material/search_off:",
            )
            return
        params = steered.params(name)
        board = steered.leaderboard(frame, float(params["fdr"]))
        st.markdown(plain(_verdict(board, plain_row, side, float(params["fdr"]))), help=_help(side, params))
        _chart(board, side)
        _table(name, board, side, steered.level(name))
        _beside(frame, side)


def _side() -> str:
    chosen = st.segmented_control(
        "What is done",
        list(_SIDES.values()),
        default=_SIDES[ADDED],
        required=True,
        **query.STEERED_SIDE.bound(),
        help="added to base: each writes as much as leaves most answers coherent, at every token. ablated: "
        "its activation is 0 at every token, in the model that the profile's focus adapter makes.",
    )
    return next(side for side, word in _SIDES.items() if word == chosen)


def _verdict(board: pd.DataFrame, plain_row: pd.Series, side: str, fdr: float) -> str:
    share = (
        f"Of the answers of {plain_row['variant']} as it is, {percent(plain_row['share'])} "
        f"(n = {count(plain_row['n_judged'])}) are {_COUNTED[side]}."
    )
    found = board[board["found"]]
    mean = board[(board["kind"] == MEAN_DIFFERENCE) & (board["low"] > 0) & (board["p"] <= fdr)]
    beside = (
        f" The {mean.iloc[0]['called']} does: by {percent(mean.iloc[0]['effect'])} "
        f"{share_interval(mean.iloc[0]['low'], mean.iloc[0]['high'])}."
        if len(mean)
        else ""
    )
    if found.empty:
        return f"{share} No feature and no set raises that beyond what random ones do.{beside}"
    first = found.iloc[0]
    return (
        f"{share} {count(len(found))} of {count((board['place'] > 0).sum())} features and sets raise that "
        f"beyond what random ones do; most of all {first['called']}, by {percent(first['effect'])} "
        f"{share_interval(first['low'], first['high'])}."
    )


def _help(side: str, params: dict[str, Any]) -> str:
    strength = (
        f"Each is added as strongly as leaves {float(params['coherent']):.0%} of answers coherent, found by "
        "bisection on half of the questions. "
        if side == ADDED
        else ""
    )
    return (
        f"{strength}Effects are measured on the other half: share of answers that are {_COUNTED[side]}, "
        "minus that of the model as it is. An incoherent answer counts as neither: breaking a model helps "
        "none. Beyond chance: the interval is above 0, and "
        f"q at most {float(params['fdr']):g}, Benjamini-Hochberg over features and "
        "sets, of the share of random ones of as many features that do as much, each as strong as it may be."
    )


def _chart(board: pd.DataFrame, side: str) -> None:
    shown = board[board["effect"].notna()].head(_DRAWN)
    if shown.empty:
        return
    shown = shown.assign(label=[_label(*each) for each in zip(shown["called"], shown["row"], strict=True)])
    downloads.chart(
        charts.leaderboard(shown, axis=f"change of the share of answers that are {_COUNTED[side]}"),
        shown,
        f"steered-{side}",
        key=f"steered-{side}",
        alt="Effect of each feature and set on answers with its interval, over the band of random ones",
    )


def _label(called: str, row: int) -> str:
    """What a row of the chart is called; its number keeps apart what is called alike."""
    return f"{called} ({row})" if called.startswith(("mean", "random")) or " together" in called else called


def _table(name: str, board: pd.DataFrame, side: str, level: str) -> None:
    shown = board.assign(
        interval=[share_interval(a, b) for a, b in zip(board["low"], board["high"], strict=True)]
    )
    key = f"steered-table-{side}"

    row_table.show(
        shown,
        key=key,
        choose=partial(chosen_feature.choose, layer="layer_of", index="index_of"),
        order=[
            *("called", "what", "effect", "interval", "p", "q", "misaligned", "coherent"),
            *(("strength", "value") if side == ADDED else ()),
            *("facts_lost", *(f"lost_{name}" for name in steered.behaviours(board))),
            *("features", "orders", "reason"),
        ],
        columns=_columns(side, level, steered.behaviours(board)),
    )
    chosen = selection.feature()
    called = names.of_feature(name, chosen) if chosen is not None else ""
    chosen_feature.buttons(
        chosen, called, board, key="steered", file=f"steered-{side}", data=f"steered-{side}-data"
    )
    st.caption("A row's first feature is chosen by a click: its card and the Steering page open with it.")


def _columns(side: str, level: str, behaviours: Sequence[str]) -> dict[str, Any]:
    column, text = st.column_config.NumberColumn, st.column_config.TextColumn
    return {
        "called": text(
            "what", help="Feature by layer and index, with its name; or a set.", pinned=True, width=190
        ),
        "what": text(
            "kind",
            help="The mean difference of residual streams and features of null adapters stand "
            "beside: they are no candidates.",
            width=116,
        ),
        "effect": column(
            "effect",
            format="percent",
            width=64,
            help=f"Share of answers judged that are {_COUNTED[side]}, minus that of the model as it is.",
        ),
        "interval": text(
            "interval", width=116, help=f"{level.capitalize()} of the effect, over questions, paired."
        ),
        "p": column(
            "p",
            format="%.2g",
            width=56,
            help="Share of random entries of as many features that do as much, itself counted: added, of "
            "features and directions; ablated, of features, and for the mean difference of directions. "
            "Random ones have fewer answers, so that p is rather too large.",
        ),
        "q": column(
            "q (random)",
            format="%.2g",
            width=84,
            help="False discovery rate over features and sets: Benjamini-Hochberg of p.",
        ),
        "misaligned": column("misaligned", format="percent", width=76, help="Of the coherent answers."),
        "coherent": column("coherent", format="percent", width=70, help="Of the answers judged."),
        "strength": column(
            "strength",
            format="%.3g",
            width=68,
            help="What is written at each token, by the mean length of what the layer's MLP writes: the "
            "largest tried that leaves enough answers to the other questions coherent.",
        ),
        "value": column(
            "value", format="%.3g", width=60, help="Added to the activation of the first feature."
        ),
        "facts_lost": column(
            "capitals lost",
            format="percent",
            width=88,
            help="Share of held-out capitals told right by the model as it is, minus that under steering.",
        ),
        **{
            f"lost_{name}": column(
                f"{name} lost",
                format="percent",
                width=96,
                help=f"Share of test prompts of {name} (page Behaviours) whose right answer is more probable "
                "a token than the wrong one, in the model as it is, minus that under steering.",
            )
            for name in behaviours
        },
        "features": text("features", width=120, help="All of them, by layer and index."),
        "orders": text(
            "orders",
            width=110,
            help="Which orders put it among the first; answers: the best by themselves "
            "on the other questions. Of a null adapter: which.",
        ),
        "reason": text("missing", width=120, help="Why there is less than all; empty: there is all."),
    }


def _beside(frame: pd.DataFrame, side: str) -> None:
    low, high, n = steered.band(frame, FEATURE, 1)
    alike = "random features and directions" if side == ADDED else "random features"
    if n:
        st.caption(
            plain(f"{count(n)} {alike}: nine of ten change the share by {percent(low)} to {percent(high)}.")
        )
    lost = frame[frame["reason"] != ""]
    if len(lost):
        st.caption(plain(f"{count(len(lost))} have less than all; the first: {lost.iloc[0]['reason']}."))
