"""A feature's card: the same wherever the feature is named."""

from contextlib import suppress

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.charts import features as charts
from dashboard.data import documents, readers
from dashboard.data.tables import contrast_words, ranked_feature
from dashboard.pages import COMPARE
from dashboard.shell import downloads, query, selection
from dashboard.shell.frame import METRIC
from dashboard.style.score_names import TESTS, describe
from dashboard.style.text import count, feature_name, interval, number, percent, plain, shaded_tokens
from dashboard.style.theme import ADAPTED
from dashboard.views.features import card_edges, feature_naming
from dashboard.widgets import chosen_feature, feature_in_graph
from store.base.errors import StoreError
from store.documents.split_characters import joined
from store.documents.token_texts import token_text
from store.schema.rankings import situations_group


def show(name: str, feature: tuple[int, int], *, contrast: str, domain: str, score: str = "direct") -> None:
    """Draw the card of a feature that the store knows.

    Parameters
    ----------
    name
        Profile.
    feature
        Layer and index.
    contrast, domain, score
        Which effect to show.
    """
    label = feature_name(*feature)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"### {plain(label)}")
            feature_naming.show(name, feature)
            chosen_feature.steer_button(feature, key="steer-this")
            if st.button("Show in graph", icon=":material/hub:", key="show-in-graph"):
                _show_in_graph(name, feature)
                selection.go(COMPARE)
        feature_naming.score(name, feature)
        _numbers(name, feature, contrast, domain, score)
        tabs = st.tabs(["Contexts", "Tokens", "Situations", "Activations", "Edges"], **query.CARD.bound())
        with tabs[0]:
            _contexts(name, feature)
        with tabs[1]:
            _tokens(name, feature)
        with tabs[2]:
            _situations(name, feature, contrast, domain, score)
        with tabs[3]:
            _activations(name, feature)
        with tabs[4]:
            card_edges.show(name, feature, contrast=contrast, domain=domain)


def _show_in_graph(name: str, feature: tuple[int, int]) -> None:
    """Pin the feature's nodes on the selected prompt, in either variant's graph."""
    selection.choose(query.SOURCE, "")  # not on one that is typed
    views = []
    for side in (query.A, query.B):
        prompt, variant = selection.get(query.PROMPT), selection.get(side)
        if prompt is not None and variant is not None:
            with suppress(StoreError):  # Compare explains what is missing
                views.append(readers.graph(name, prompt, variant))
    feature_in_graph.pin(views, feature)
    st.session_state.pop(query.VIEW.name, None)  # Compare opens its first tab, the graph


def _numbers(name: str, feature: tuple[int, int], contrast: str, domain: str, score: str) -> None:
    frame = readers.ranking(name, contrast, domain, score)
    words = describe(score)
    ranked = ranked_feature(frame, *feature)
    cards = readers.dataset(name, "features", "cards")
    row = readers.feature_rows(name, "cards").row(*feature)
    columns = st.columns(2)
    if ranked is not None:
        level = readers.level(name, "features")
        columns[0].metric(
            words.headed("Effect"),
            number(float(ranked["effect"]), sign=True),
            help=f"{words.meaning} Here {plain(contrast_words(contrast))}, domain {plain(domain)}: "
            f"mean over situations, with the bootstrap-t {level} over them.",
            height=METRIC,
        )
        columns[0].caption(
            f"{words.label}: {_interval(ranked, level)}, n = {count(ranked['n_situations'])} situations"
        )
        tested = bool(np.isfinite(ranked["q"]))
        by = "p" if score == "activation" else "p_labels"
        columns[1].metric(
            "q (signs)" if by == "p" else "q (labels)",
            number(float(ranked["q"])) if tested else "not tested",
            help=f"Benjamini-Hochberg false discovery rate of {TESTS[by]} Not tested: active in too few "
            "situations.",
            height=METRIC,
        )
        columns[1].caption(plain(_tests(ranked, by) if tested else "too few situations"))
    else:
        columns[0].caption("Not ranked: active on no prompt with both labels.")
    if row is None:
        return
    table = pd.DataFrame(
        {
            "variant": [str(value) for value in cards["variant"].values],
            "mean": cards["mean_activation"][:, row].values.astype(float),
            "frequency": cards["frequency"][:, row].values.astype(float),
            "prompts": cards["n_prompts"][:, row].values.astype(int),
        }
    )
    table["frequency"] = [percent(value) for value in table["frequency"]]
    st.dataframe(
        table,
        hide_index=True,
        key="card-table",
        height=downloads.table_height(len(table)),
        column_config={
            "variant": st.column_config.TextColumn("variant", help="Which weights."),
            "mean": st.column_config.NumberColumn(
                "mean activation",
                format="%.3g",
                help="Mean over the prompts' tokens but BOS, zeros included.",
            ),
            "frequency": st.column_config.TextColumn(
                "frequency", help="Share of the prompts' tokens but BOS where it is active."
            ),
            "prompts": st.column_config.NumberColumn("n prompts", help="Prompts on which it is active."),
        },
    )


def _interval(ranked: pd.Series, level: str) -> str:
    low, high = float(ranked["low"]), float(ranked["high"])
    return f"{level} {interval(low, high, sign=True)}" if np.isfinite(low) else "too few situations to tell"


def _tests(ranked: pd.Series, by: str) -> str:
    """The p-values beside q, what random adapters reach, and how many situations it rests on."""
    words = f"p = {number(float(ranked[by]))}"
    if by == "p_labels":
        words += f"; consistent over situations: p = {number(float(ranked['p']))}"
    if np.isfinite(ranked["null_share"]):
        words += f"; as large by random adapters: {percent(float(ranked['null_share']))}"
    if np.isfinite(ranked["sign_consistency"]):
        words += f"; same sign in {percent(float(ranked['sign_consistency']))} of situations with an effect"
    return f"{words}; worth {number(float(ranked['n_effective']))} independent situations"


def _contexts(name: str, feature: tuple[int, int]) -> None:
    contexts = readers.dataset(name, "features", "contexts")
    row = readers.feature_rows(name, "contexts").row(*feature)
    if row is None:
        st.caption("No held-out text in which it is active.")
        return
    variants = [str(value) for value in contexts["variant"].values]
    variant = st.segmented_control(
        "Variant",
        variants,
        default=variants[-1],
        required=True,
        **query.CONTEXTS.bound(),
        help="Activations of which weights on the held-out text.",
    )
    v = variants.index(str(variant or variants[-1]))
    words = documents.vocabulary(name)
    tokens = contexts["token"][v, row].values
    activations = contexts["activation"][v, row].values.astype(float)
    lines = contexts["text"][v, row].values
    peaks = contexts["peak"][v, row].values
    maximum = float(np.nanmax(activations, initial=0.0))
    colour = readers.colours(name).get(variants[v], ADAPTED)
    parts = []
    rows = []
    for token_row, values, line, peak in zip(tokens, activations, lines, peaks, strict=True):
        if line < 0:
            continue
        kept = token_row >= 0
        text = [token_text(words, int(token)) for token in token_row[kept]]
        top = float(values[kept].max(initial=0.0))
        shaded = shaded_tokens(text, values[kept].tolist(), maximum=maximum, colour=colour, peak=int(peak))
        parts.append(
            '<div style="margin:0 0 .55em;line-height:1.6">'
            f'<span style="opacity:.65;margin-right:.7em">{number(top)}</span>{shaded}</div>'
        )
        rows.append({"line": int(line), "activation": top, "text": joined(text)})
    if not parts:
        st.caption("No held-out text in which it is active, with these weights.")
        return
    st.html(
        f'<div style="font-family:monospace;font-size:.85rem;overflow-wrap:anywhere">{"".join(parts)}</div>'
    )
    st.caption("Strongest contexts in held-out text; shade and number: activation.")
    downloads.downloads(pd.DataFrame(rows), f"contexts-L{feature[0]}-{feature[1]}", key="contexts")


def _tokens(name: str, feature: tuple[int, int]) -> None:
    cards = readers.dataset(name, "features", "cards")
    row = readers.feature_rows(name, "cards").row(*feature)
    if row is None:
        return
    words = documents.vocabulary(name)
    frames = []
    for kind in ("promoted", "suppressed"):
        tokens = cards[f"{kind}_token"][row].values
        frame = pd.DataFrame(
            {
                "token": tokens.astype(int),
                "text": [token_text(words, int(token)) for token in tokens],
                "logit": cards[f"{kind}_logit"][row].values.astype(float),
            }
        )
        frames.append(frame if kind == "promoted" else frame.iloc[::-1])
    both = pd.concat(frames, ignore_index=True)
    downloads.chart(
        charts.promoted(both),
        both,
        f"tokens-L{feature[0]}-{feature[1]}",
        key="promoted",
        alt="Tokens that the feature promotes and suppresses, logits per unit of activation",
    )


def _situations(name: str, feature: tuple[int, int], contrast: str, domain: str, score: str) -> None:
    table = readers.dataset(name, "features", situations_group(score))
    words = describe(score)
    row = readers.feature_rows(name, situations_group(score)).row(*feature)
    if row is None:
        st.caption("Not scored in any situation.")
        return
    frame = pd.DataFrame(
        {
            "situation": [str(value) for value in table["situation"].values],
            "domain": [str(value) for value in table["situation_domain"].values],
            "effect": readers.situation_effects(name, contrast, [row], score)[:, 0].astype(float),
        }
    ).dropna(subset=["effect"])
    if domain != "all":
        frame = frame[frame["domain"] == domain]
    if frame.empty:
        st.caption("Not scored in any situation of this domain.")
        return
    found = ranked_feature(readers.ranking(name, contrast, domain, score), *feature)
    estimate = None
    if found is not None:
        estimate = float(found["effect"]), float(found["low"]), float(found["high"])
    level = readers.level(name, "features")
    downloads.chart(
        charts.effects(frame, level=level, title=words.named, estimate=estimate),
        frame.assign(score=score, contrast=contrast),
        f"situations-{score}-L{feature[0]}-{feature[1]}",
        key="situations",
        alt=f"Effect of the feature ({words.label}) in each situation, with mean and {level}",
    )
    if estimate is not None:
        st.caption(f"Line and band: mean over situations and the bootstrap-t {level}.")


def _activations(name: str, feature: tuple[int, int]) -> None:
    cards = readers.dataset(name, "features", "cards")
    row = readers.feature_rows(name, "cards").row(*feature)
    if row is None:
        return
    bins = cards["bin_edge"].values.astype(float)
    counts = cards["histogram"][:, row].values
    variants = [str(value) for value in cards["variant"].values]
    frame = pd.concat(
        [
            pd.DataFrame({"variant": variant, "low": bins[:-1], "high": bins[1:], "tokens": counts[v]})
            for v, variant in enumerate(variants)
        ],
        ignore_index=True,
    )
    if not frame["tokens"].any():
        st.caption("Never active on the held-out text.")
        return
    downloads.chart(
        charts.histogram(frame, readers.colours(name)),
        frame,
        f"histogram-L{feature[0]}-{feature[1]}",
        key="histogram",
        alt="Histogram of non-zero activations on held-out text by variant",
    )
