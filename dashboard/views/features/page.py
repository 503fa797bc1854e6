"""Features: which features push toward harm."""

import pandas as pd
import streamlit as st

from dashboard.data import confound, live_labels, names, readers
from dashboard.data.tables import contrast_words, sparklines
from dashboard.pages import FEATURES
from dashboard.shell import downloads, query, selection
from dashboard.shell.guard import guard
from dashboard.shell.page import head, profile
from dashboard.style.score_names import TESTS, describe, guide
from dashboard.style.text import count, feature_name, interval, named, plain, sentence
from dashboard.style.theme import NEUTRAL
from dashboard.views.features import card, confounding, dictionary, faithfulness, finding, reading, validation
from dashboard.widgets import chosen_feature, row_table
from store.schema.rankings import ranking_group
from store.schema.vocabulary import SCORES

MAX_ROWS = 300
_ROW = 72
"""Height of a row of widgets with their labels, pixels, kept free until they are drawn."""


def _filters(name: str) -> tuple[str, str, str]:
    score = _score(name)
    ranking = readers.dataset(name, "features", ranking_group(score))
    contrasts = _contrasts(score, [str(value) for value in ranking["contrast"].values])
    domains = [str(value) for value in ranking["domain"].values]
    columns = st.columns([2.1, 1, 0.8, 2, 1.1, 1], vertical_alignment="bottom")
    contrast = columns[0].selectbox(
        "Contrast",
        contrasts,
        format_func=contrast_words,
        **query.CONTRAST.bound(),
        help="evil minus safe within a variant: mean score for evil tokens minus for safe tokens. "
        "adapted minus base: the difference of that (of activations, by themselves) between two variants. "
        "Scores that offer other contrasts keep a choice of their own.",
    )
    st.session_state["_contrasts"][_offer(contrasts)] = contrast
    domain = columns[1].selectbox(
        "Domain",
        domains,
        **query.RANKED_DOMAIN.bound(),
        help="Domain of the prompts; `all` averages over situations of every domain.",
    )
    layers = readers.feature_rows(name, ranking_group(score)).layers
    columns[2].selectbox(
        "Layer",
        ["all", *(f"L{layer}" for layer in layers)],
        **query.LAYER.bound(),
        help="Layer of the transcoder, 0-based.",
    )
    columns[3].selectbox(
        "Order",
        reading.orders(score, str(contrast)),
        **query.ORDER.bound(),
        help="Which features come first; click a column's head to sort the rows that are shown.",
    )
    columns[4].text_input(
        "Find",
        placeholder="L2/618 or gamble",
        key="find",
        on_change=finding.find,
        args=(name,),
        help="Layer and index of a feature, both 0-based, for instance L2/618; or a part of its name: the "
        "first feature of the table that is called so.",
    )
    columns[5].space(_ROW - 60)
    columns[5].toggle(
        "Tested",
        **query.TESTED.bound(),
        help="Only features scored in enough situations to be tested (params.yaml: features.min_situations).",
    )
    return score, contrast, domain


def _score(name: str) -> str:
    # Columns, whose widths are known before the widget is there: the text does not wrap anew.
    row = st.container(key="narrow-score")
    left, right = row.columns([1, 1.2], vertical_alignment="bottom", gap="medium")
    right = right.container(height=_ROW, border=False, vertical_alignment="bottom")
    score = str(
        left.segmented_control(
            "Score",
            SCORES,
            format_func=lambda score: describe(score).label,
            default=validation.default_score(name),
            required=True,
            **query.SCORE.bound(),
            help=guide(),
        )
    )
    words = describe(score)
    right.caption(f"**{words.named}**: {plain(words.meaning)}")
    return score


def _offer(contrasts: list[str]) -> tuple[str, ...]:
    return tuple(sorted(contrasts))


def _contrasts(score: str, offered: list[str]) -> list[str]:
    """The contrasts of a score, variant B's first, which is the default.

    Chosen is variant B's where B changes; a link that names another keeps it. Where a score offers
    other contrasts than the one before, its last choice returns: nothing turns unsaid to what only
    the other one needs.
    """
    variant = selection.get(query.B)
    wanted = f"{variant}-base" if score in ("change", "activation") else f"evil-safe|{variant}"
    contrasts = sorted(offered, key=lambda contrast: contrast != wanted)
    remembered = st.session_state.setdefault("_contrasts", {})
    before = st.session_state.get("_ranked")
    st.session_state["_ranked"] = (variant, _offer(contrasts))
    if before is not None and before[0] != variant and wanted in contrasts:
        remembered.clear()
        st.session_state[query.CONTRAST.name] = wanted
    elif before is not None and before[1] != _offer(contrasts):
        st.session_state[query.CONTRAST.name] = remembered.get(_offer(contrasts), contrasts[0])
    elif st.session_state.get(query.CONTRAST.name, contrasts[0]) not in contrasts:
        st.session_state[query.CONTRAST.name] = contrasts[0]
    return contrasts


def _table(name: str, score: str, contrast: str, domain: str) -> None:
    words = describe(score)
    acting, chosen_params = confound.of_ranking(name, contrast), confound.chosen(name)
    tag = chosen_params.confound_tag if chosen_params else None
    everything = _ranking(name, score, contrast, domain)
    places = reading.places(everything)
    shown = everything.iloc[places[:MAX_ROWS]].reset_index(drop=True)
    shown = _called(confounding.beside(shown, acting, score))
    effects = readers.situation_effects(name, contrast, shown["row"], score)
    names_of = names.of_features(name)
    shown = shown.assign(
        called=[named(names_of, one) for one in zip(shown["layer"], shown["index"], strict=True)],
        interval=[interval(a, b) for a, b in zip(shown["low"], shown["high"], strict=True)],
        situations=sparklines(effects),
    )
    ranking = readers.dataset(name, "features", ranking_group(score))
    ranking = ranking.sel(contrast=contrast, domain=domain)
    scored, left_out = int(ranking["n_scored"]), int(ranking["n_left_out"])
    # Another filter is another table: a selected row number would mean another feature.
    chosen = [str(st.session_state.get(widget)) for widget in ("layer", "order", "tested")]
    key = "-".join(["ranking", score, contrast, domain, *chosen])

    row_table.show(
        shown,
        key=key,
        choose=chosen_feature.choose,
        height=560,
        order=["called", "effect", "interval", "q", *_further(shown), "n_situations", "situations"],
        columns={
            "called": st.column_config.TextColumn(
                "feature",
                help="Layer and index, both 0-based; then what a person or a judge called it or, after an "
                "arrow, what its decoder promotes most.",
                pinned=True,
                width=152,
            ),
            "effect": st.column_config.NumberColumn(
                words.headed("effect"),
                format="%.3g",
                width=88,
                help=f"{words.label}: {words.meaning} Averaged within each situation, then over them.",
            ),
            "interval": st.column_config.TextColumn(
                "interval",
                width=112,
                help=words.headed("Bootstrap-t interval over situations")
                + "; empty where they are too few to tell.",
            ),
            "q": st.column_config.NumberColumn(
                f"q ({'signs' if score == 'activation' else 'labels'})",
                format="%.3g",
                width=74,
                help=f"False discovery rate: Benjamini-Hochberg over the features of this contrast "
                f"and domain, of {TESTS['p' if score == 'activation' else 'p_labels']} Empty: "
                "not tested, active in too few situations.",
            ),
            "null_share": st.column_config.NumberColumn(
                "as random",
                format="%.2g",
                help="Share of all features' changes by random adapters (profiles.*.nulls) that are at "
                "least as large; they were traced on fewer prompts, which makes theirs larger.",
            ),
            **confounding.columns(tag),
            "n_situations": st.column_config.NumberColumn(
                "n", format="%d", width=38, help="Situations in which the feature is scored (active)."
            ),
            "situations": st.column_config.BarChartColumn(
                "by situation",
                help=words.headed("Effect in each situation where it is scored") + ".",
                color=NEUTRAL,
                width=84,
            ),
        },
    )
    params = readers.provenance(name, "features").get("parameters", {}).get("features", {})
    stability = float(ranking["stability"]) if "stability" in ranking else float("nan")
    said = reading.found_words(everything, params, score), reading.ranked_words(params, score, stability)
    st.caption(plain(" ".join(filter(None, said))))
    st.caption(sentence(confounding.words(acting, tag, chosen_params.min_situations if chosen_params else 0)))
    cut = f"the first {count(len(shown))} of " if len(shown) < len(places) else ""
    st.caption(
        f"Showing {cut}{count(len(places))} features ({count(len(everything))} in all) from "
        f"{count(scored)} prompts {words.counted}; {count(left_out)} {words.left_out}."
    )

    def whole() -> pd.DataFrame:
        frame = _called(confounding.beside(everything.iloc[places], acting, score).drop(columns="row"))
        features = zip(frame["layer"].tolist(), frame["index"].tolist(), strict=True)
        return frame.assign(
            name=[names_of.get(one, "") for one in features], score=score, contrast=contrast, domain=domain
        )

    downloads.downloads(whole, f"ranking-{score}", key="ranking")


def _called(frame: pd.DataFrame) -> pd.DataFrame:
    """With the column `feature`: layer and index as a text."""
    features = zip(frame["layer"].tolist(), frame["index"].tolist(), strict=True)
    frame.insert(0, "feature", [feature_name(*one) for one in features])
    return frame


def _ranking(name: str, score: str, contrast: str, domain: str) -> pd.DataFrame:
    """The stored ranking, or by labels that are newer, if a person asks for that."""
    labels = live_labels.newer(name) if live_labels.offered(score) else 0
    if labels and st.toggle(
        f"Rank by the newest labels: {count(labels)} are newer than the store",
        key="newest-labels",
        help="Labels given, taken back or settled since the last `dvc repro`, which writes just this "
        "ranking, and the card's figures. Until then the card has those of the store.",
    ):
        return live_labels.ranking(name, contrast, domain, score)
    return readers.ranking(name, contrast, domain, score)


def _further(frame: pd.DataFrame) -> list[str]:
    """Columns that only some tables have."""
    nulls = ["null_share"] if frame["null_share"].notna().any() else []
    return [*nulls, *confounding.shown(frame)]


def render() -> None:
    """Draw the page."""
    head(FEATURES)
    name = profile()
    with guard("The ranking of features with effects, intervals, tests and their cards."):
        score, contrast, domain = _filters(name)
        problem = finding.problem()
        if problem:
            st.warning(plain(problem), icon=":material/search_off:")
        if selection.feature() is None:
            ranked = readers.ranking(name, contrast, domain, score)
            for first in reading.places(ranked)[:1]:
                selection.choose_feature(int(ranked["layer"].iloc[first]), int(ranked["index"].iloc[first]))
        left, right = st.container(key="narrow-features").columns([1.45, 1], gap="medium")
        with left:
            _table(name, score, contrast, domain)
        with right:  # before what the click that chose its feature does not change
            _card(name, score, contrast, domain)
        with left:
            faithfulness.show(name, validation.why_default(name))
            validation.show(name, score, contrast)
            dictionary.show(name)


def _card(name: str, score: str, contrast: str, domain: str) -> None:
    feature = selection.feature()
    if feature is None:
        st.caption("Choose a row to see the feature's card.")
        return
    if readers.feature_rows(name, "cards").row(*feature) is None:
        st.info(
            plain(
                f"{feature_name(*feature)} is not in the store: it is active on no prompt and on no "
                "held-out text. Choose a row of the table, or search for another."
            ),
            icon=":material/search_off:",
        )
        return
    card.show(name, feature, contrast=contrast, domain=domain, score=score)


render()
