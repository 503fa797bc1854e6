"""Features: which features push toward harm."""

import pandas as pd
import streamlit as st

from dashboard import card, data, state, takeaway
from dashboard.frame import head, profile
from dashboard.guard import guard
from dashboard.tables import contrast_words, feature_row, sparklines
from dashboard.text import count, feature_name, interval, plain
from dashboard.theme import NEUTRAL

MAX_ROWS = 300

_ORDERS = {
    "toward harm": ("effect", False),
    "toward safety": ("effect", True),
    "smallest q": ("q", True),
    "smallest p": ("p", True),
}


def _filters(name: str) -> tuple[str, str]:
    ranking = data.dataset(name, "features", "ranking")
    contrasts = [str(value) for value in ranking["contrast"].values]
    domains = [str(value) for value in ranking["domain"].values]
    wanted = f"evil-safe|{state.get('b')}"
    _follow(wanted, contrasts)
    columns = st.columns([2.2, 1.1, 0.9, 1.4, 1.3, 1.1], vertical_alignment="bottom")
    contrast = columns[0].selectbox(
        "Contrast",
        contrasts,
        index=contrasts.index(wanted) if wanted in contrasts else 0,
        format_func=contrast_words,
        key="contrast",
        bind="query-params",
        help="evil minus safe within a variant: mean direct effect on evil tokens minus on safe tokens. "
        "adapted minus base: the difference of that between two variants.",
    )
    domain = columns[1].selectbox(
        "Domain",
        domains,
        key="domain",
        bind="query-params",
        help="Domain of the prompts; `all` averages over situations of every domain.",
    )
    layers = sorted({int(layer) for layer in ranking["layer"].values})
    columns[2].selectbox(
        "Layer",
        ["all", *(f"L{layer}" for layer in layers)],
        key="layer",
        bind="query-params",
        help="Layer of the transcoder, 0-based.",
    )
    columns[3].selectbox(
        "Order",
        list(_ORDERS),
        key="order",
        bind="query-params",
        help="Which features come first; click a column's head to sort the rows that are shown.",
    )
    columns[4].text_input(
        "Find",
        placeholder="L2/618",
        key="find",
        on_change=_find,
        help="Layer and index of a feature, both 0-based, for instance L2/618.",
    )
    columns[5].toggle(
        "Tested",
        key="tested",
        bind="query-params",
        help="Only features scored in enough situations to be tested (params.yaml: features.min_situations).",
    )
    return contrast, domain


def _follow(wanted: str, contrasts: list[str]) -> None:
    """Turn to variant B's contrast when B changes; a link that names a contrast keeps it."""
    named = st.query_params.get("contrast")
    before = st.session_state.get("_followed")
    st.session_state["_followed"] = (wanted, named)
    if before is not None and before[0] != wanted and named in (None, before[1]) and wanted in contrasts:
        st.session_state["contrast"] = wanted
        st.session_state["_followed"] = (wanted, wanted)


def _find() -> None:
    text = str(st.session_state.get("find", ""))
    if not text.strip():
        return
    feature = state.parse_feature(text)
    if feature is None:
        st.session_state["_find_problem"] = (
            f"“{text[:40]}” is no feature; write layer and index, for instance L2/618."
        )
        return
    state.choose_feature(*feature)


def _filtered(frame: pd.DataFrame) -> pd.DataFrame:
    layer = str(st.session_state.get("layer", "all"))
    if layer != "all":
        frame = frame[frame["layer"] == int(layer.removeprefix("L"))]
    if st.session_state.get("tested"):
        frame = frame[frame["q"].notna()]
    column, ascending = _ORDERS[str(st.session_state.get("order", "toward harm"))]
    return frame.sort_values(column, ascending=ascending, kind="stable", na_position="last")


def _table(name: str, contrast: str, domain: str) -> None:
    everything = data.ranking(name, contrast, domain)
    frame = _filtered(everything)
    shown = frame.head(MAX_ROWS).reset_index(drop=True)
    effects = data.situation_effects(name, contrast)
    shown = shown.assign(
        interval=[interval(a, b) for a, b in zip(shown["low"], shown["high"], strict=True)],
        situations=sparklines(effects[:, shown["row"].to_numpy()]),
    )
    ranking = data.dataset(name, "features", "ranking").sel(contrast=contrast, domain=domain)
    scored, left_out = int(ranking["n_scored"]), int(ranking["n_left_out"])
    # Another filter is another table: a selected row number would mean another feature.
    chosen = [str(st.session_state.get(widget)) for widget in ("layer", "order", "tested")]
    key = "-".join(["ranking", contrast, domain, *chosen])

    def choose() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            state.choose_feature(int(shown["layer"].iloc[rows[0]]), int(shown["index"].iloc[rows[0]]))

    st.dataframe(
        shown,
        hide_index=True,
        key=key,
        placeholder="—",
        on_select=choose,
        selection_mode="single-row",
        height=560,
        column_order=["feature", "effect", "interval", "q", "n_situations", "situations"],
        column_config={
            "feature": st.column_config.TextColumn(
                "feature", help="Layer and index, both 0-based.", pinned=True, width=80
            ),
            "effect": st.column_config.NumberColumn(
                "effect (logits)",
                format="%.3g",
                help="direct: effect on the mean evil token minus the mean safe token, centred "
                "logits, summed over positions, averaged within each situation, then over them.",
            ),
            "interval": st.column_config.TextColumn(
                "interval", help="Bootstrap interval over situations (logits)."
            ),
            "q": st.column_config.NumberColumn(
                "q (sign-flip, BH)",
                format="%.3g",
                help="False discovery rate: Benjamini-Hochberg over the features of this contrast "
                "and domain, of p-values from a sign-flip permutation test over situations. Empty: "
                "not tested, scored in too few situations.",
            ),
            "n_situations": st.column_config.NumberColumn(
                "n", format="%d", help="Situations in which the feature is scored (active)."
            ),
            "situations": st.column_config.BarChartColumn(
                "by situation",
                help="Effect in each situation where it is scored (logits).",
                color=NEUTRAL,
                width=130,
            ),
        },
    )
    cut = f"the first {count(len(shown))} of " if len(shown) < len(frame) else ""
    st.caption(
        f"Showing {cut}{count(len(frame))} features ({count(len(everything))} in all) from "
        f"{count(scored)} prompts with both labels; {count(left_out)} without were left out."
    )
    takeaway.downloads(
        frame.drop(columns="row").assign(contrast=contrast, domain=domain),
        "ranking",
        key="ranking",
    )


def render() -> None:
    """Draw the page."""
    head("Features", "Which features push toward harm?")
    name = profile()
    with guard("The ranking of features with effects, intervals, tests and their cards."):
        contrast, domain = _filters(name)
        problem = st.session_state.pop("_find_problem", None)
        if problem:
            st.warning(plain(problem), icon=":material/search_off:")
        if state.feature() is None:
            first = _filtered(data.ranking(name, contrast, domain))
            if len(first):
                state.choose_feature(int(first["layer"].iloc[0]), int(first["index"].iloc[0]))
        left, right = st.columns([1.25, 1], gap="medium")
        with left:
            _table(name, contrast, domain)
        with right:
            _card(name, contrast, domain)


def _card(name: str, contrast: str, domain: str) -> None:
    feature = state.feature()
    if feature is None:
        st.caption("Choose a row to see the feature's card.")
        return
    cards = data.dataset(name, "features", "cards")
    row = feature_row(cards, *feature)
    if row is None:
        st.info(
            plain(
                f"{feature_name(*feature)} is not in the store: it is active on no prompt and on no "
                "held-out text. Choose a row of the table, or search for another."
            ),
            icon=":material/search_off:",
        )
        return
    card.show(name, feature, contrast=contrast, domain=domain)


render()
