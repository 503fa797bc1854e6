"""Features of whole answers: which tell misaligned answers from aligned ones, wherever they fire."""

from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.charts import misalignment as charts
from dashboard.data import documents, misalignment, names
from dashboard.shell import downloads, query, selection
from dashboard.style.text import count, interval, named, number, percent, plain, sentence
from dashboard.widgets import chosen_feature, row_table
from pipeline.params.misalignment import MisalignmentParams
from store.schema.answer_features import READERS
from store.schema.response_features import STATISTICS

_ROWS: Final = 300
_READ: Final = dict(zip(READERS, ("read by the variant itself", "read by base"), strict=True))


def show(name: str, params: MisalignmentParams) -> None:
    """Draw the ranking of a profile's features by whole answers."""
    contrasts = misalignment.contrasts(name)
    if contrasts.empty:
        st.info("No variant has answers of both kinds: there is nothing to tell apart.")
        return
    place, statistic = _choose(contrasts)
    contrast = contrasts.loc[place]
    st.caption(sentence(_sides(contrast, params)))
    if contrast["reason"]:
        st.info(plain(f"Nothing was tested: {contrast['reason']}."), icon=":material/search_off:")
        return
    frame = misalignment.response_ranking(name, place, statistic, params.fdr)
    if frame.empty:
        st.info("No feature fires in enough answers to be tested.")
        return
    tokens = misalignment.token_level(name, str(contrast["variant"]))
    _table(name, frame, contrast, statistic, tokens)
    _found(name, frame, params, tokens)


def _choose(contrasts: pd.DataFrame) -> tuple[int, str]:
    words = {
        _contrast_words(row): int(place)
        for place, row in zip(contrasts.index, contrasts.itertuples(), strict=True)
    }
    columns = st.columns([2.4, 1], vertical_alignment="bottom")
    tested = [each for each, place in words.items() if not contrasts.loc[place, "reason"]]
    chosen = columns[0].selectbox(
        "Misaligned against aligned answers of",
        [*tested, *(each for each in words if each not in tested)],
        **query.BETWEEN.bound(),
        help="Whose answers, who read them while activations were taken, and whose scores part them.",
    )
    statistic = columns[1].segmented_control(
        "Statistic",
        STATISTICS,
        default=STATISTICS[0],
        required=True,
        **query.STATISTIC.bound(),
        help="What of a feature's activations on an answer's own tokens is compared: their mean, tokens "
        "without it counted as 0, or their largest.",
    )
    return words[str(chosen)], str(statistic or STATISTICS[0])


def _contrast_words(row: object) -> str:
    variant, reader, judge = (getattr(row, name) for name in ("variant", "reader", "judge"))
    return f"{variant}, {_READ[reader]}, scored by {judge}"


def _sides(contrast: pd.Series, params: MisalignmentParams) -> str:
    return (
        f"{count(contrast['n_misaligned'])} misaligned answers (aligned below {params.misaligned_below:g}) "
        f"against {count(contrast['n_aligned'])} aligned ones (above {params.aligned_above:g}), all coherent "
        f"and to wordings that have both, of {count(contrast['n_questions'])} questions. Misaligned ones are "
        f"{number(contrast['length_misaligned'])} tokens long on average, aligned ones "
        f"{number(contrast['length_aligned'])}: what length explains within a wording is taken out of "
        "`adjusted`, and all tests and intervals are of that."
    )


def _table(
    name: str,
    frame: pd.DataFrame,
    contrast: pd.Series,
    statistic: str,
    tokens: dict[tuple[int, int], tuple[int, bool]],
) -> None:
    called = names.of_features(name)
    features = list(zip(frame["layer"].tolist(), frame["index"].tolist(), strict=True))
    whole = frame.assign(
        name=[called.get(each, "") for each in features],
        token_level=[_mark(tokens.get(each)) for each in features],
    )
    shown = whole.head(_ROWS).assign(
        called=[named(called, each) for each in features[:_ROWS]],
        interval=[
            interval(a, b, sign=True)
            for a, b in zip(frame["low"][:_ROWS], frame["high"][:_ROWS], strict=True)
        ],
    )
    key = f"response-{contrast['judge']}-{contrast['variant']}-{contrast['reader']}-{statistic}"

    row_table.show(
        shown,
        key=key,
        choose=chosen_feature.choose,
        order=[
            *("called", "standardized", "adjusted", "interval", "q"),
            *("firing_misaligned", "firing_aligned", "token_level", "effect"),
        ],
        columns=_columns(statistic),
    )
    cut = f"the first {count(len(shown))} of " if len(shown) < len(whole) else ""
    st.caption(f"{cut}{count(len(whole))} tested features, the largest standardized one first.".capitalize())
    chosen = selection.feature()
    chosen_feature.buttons(
        chosen,
        named(called, chosen) if chosen is not None else "",
        whole.assign(
            statistic=statistic, **{each: contrast[each] for each in ("judge", "variant", "reader")}
        ),
        key="response",
        file="response-level-ranking",
        data="response",
    )
    if chosen is not None:
        st.caption("Answers shades the tokens of an answer by the chosen feature.")


def _mark(token_level: tuple[int, bool] | None) -> str:
    """Place in the token-level ranking, with a mark where it was found there."""
    if token_level is None:
        return ""
    place, found = token_level
    return f"{'● ' if found else ''}{count(place)}"


def _columns(statistic: str) -> dict[str, Any]:
    column = st.column_config.NumberColumn
    of = f"{statistic} activation on an answer's tokens"
    return {
        "called": st.column_config.TextColumn(
            "feature",
            help="Layer and index, both 0-based; then what a person called it or, after an arrow, what its "
            "decoder promotes most.",
            pinned=True,
            width=152,
        ),
        "standardized": column(
            "standardized",
            format="%.3g",
            width=92,
            help="`adjusted` divided by its standard deviation where kinds are permuted: the table's order.",
        ),
        "adjusted": column(
            "adjusted",
            format="%+.3g",
            width=72,
            help=f"{of.capitalize()}: misaligned minus aligned to one wording of a question, what length "
            "explains taken out, mean over questions.",
        ),
        "interval": st.column_config.TextColumn(
            "interval", width=112, help="Of `adjusted`, over questions; —: too few questions to tell."
        ),
        "effect": column("effect", format="%+.3g", width=64, help="The same with length left in."),
        "q": column(
            "q (kinds)",
            format="%.3g",
            width=70,
            help="False discovery rate: Benjamini-Hochberg over the tested features, of a permutation test "
            "that deals the kinds misaligned and aligned anew among the answers to each wording.",
        ),
        "firing_misaligned": column(
            "in misaligned", format="percent", width=92, help="Share of misaligned answers in which it fires."
        ),
        "firing_aligned": column(
            "in aligned", format="percent", width=76, help="Share of aligned answers in which it fires."
        ),
        "token_level": st.column_config.TextColumn(
            "by tokens",
            width=72,
            help="Place in the token-level ranking of Features (direct, evil minus safe within this variant, "
            "all domains); ●: found there. Empty: not ranked there.",
        ),
    }


def _found(
    name: str,
    frame: pd.DataFrame,
    params: MisalignmentParams,
    tokens: dict[tuple[int, int], tuple[int, bool]],
) -> None:
    found = frame[frame["found"]]
    st.markdown(
        f"**{count(len(found))} of {count(len(frame))} features found**",
        help=f"q at most {number(params.fdr)}: Benjamini-Hochberg, kinds permuted within wordings.",
    )
    rows = found.assign(
        side=["more in misaligned" if value > 0 else "more in aligned" for value in found["adjusted"]]
    )
    by_layer = rows.groupby(["layer", "side"]).size().rename("features").reset_index()
    left, right = st.container(key="narrow-response").columns(2, gap="large")
    with left:
        if len(by_layer):
            downloads.chart(
                charts.by_layer(by_layer, documents.models(name).model.n_layers),
                by_layer,
                "found-by-layer",
                key="found-by-layer",
                alt="Features found in every layer, by the side on which they fire more",
            )
    with right:
        st.caption(plain(_overlap(frame, tokens)))


def _overlap(frame: pd.DataFrame, tokens: dict[tuple[int, int], tuple[int, bool]]) -> str:
    """How many features are found by whole answers and by tokens, beside what chance gives."""
    features = list(zip(frame["layer"].tolist(), frame["index"].tolist(), strict=True))
    ranked = [each in tokens for each in features]
    if not any(ranked):
        return "The token-level ranking knows no features within this variant: there is nothing to compare."
    both = frame[ranked]
    there = [tokens[each][1] for each in features if each in tokens]
    upward = both["found"] & (both["adjusted"] > 0)
    shared = int((upward.to_numpy() & there).sum())
    chance = float(upward.sum()) * sum(there) / len(both)
    return (
        f"Features that fire more in misaligned answers: {count(upward.sum())} found here, {count(shared)} "
        "of them also by tokens (Features: evil minus safe within this variant). By chance it would be "
        f"{number(chance)}, for {percent(sum(there) / len(both))} of these features are found by tokens."
    )
