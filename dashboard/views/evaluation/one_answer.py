"""One answer: what was asked, its scores, and its tokens, shaded by a feature's activation on them."""

from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.charts import misalignment as charts
from dashboard.data import answers, documents, misalignment, names, readers
from dashboard.data.answers import Answer
from dashboard.live import answers as live
from dashboard.live.models import NotLiveError
from dashboard.shell import downloads, forms, query, selection, url
from dashboard.shell.guard import message
from dashboard.style.text import (
    count,
    named,
    number,
    plain,
    sentence,
    shaded_tokens,
    token_chips,
)
from dashboard.style.theme import ADAPTED, KIND_GLYPHS, KIND_INKS
from dashboard.widgets import chosen_feature
from store.base.errors import StoreError
from store.documents.split_characters import joined
from store.documents.token_texts import token_text
from store.documents.variants import BASE
from store.schema.answer_features import READERS

_RANKED: Final = 100
"""So many features of the ranking are offered; any other is found by its name."""
_BY: Final = "shade-by"
_READERS: Final = dict(zip(READERS, ("the variant that wrote it", BASE), strict=True))
_MONO: Final = "font-family:monospace;font-size:.9rem;line-height:1.75;overflow-wrap:anywhere"


def show(name: str, row: pd.Series, place: int, judge: str) -> None:
    """Draw an answer.

    Parameters
    ----------
    name
        Profile.
    row
        Of `dashboard.data.answers.scored`.
    place
        The row's number there.
    judge
        Whose scores these are.
    """
    answer = answers.answer(name, row["question_hash"], row["variant"], int(row["index"]))
    with st.container(border=True):
        st.markdown(
            f"**{plain(answer.variant)}**, {plain(row['question'])} ({plain(row['form'])}), answer "
            f"{count(row['index'])}"
        )
        st.caption(plain(f"Asked: {answer.wording.text}"))
        _scores(row, judge)
        words = documents.vocabulary(name)
        tokens = [token_text(words, token) for token in answer.token_ids]
        _tokens(name, answer, tokens)
        end = "ended by the variant" if answer.ended else "cut at its longest"
        st.caption(plain(f"{count(len(tokens))} tokens, {end}."))
        with st.container(horizontal=True, gap="small"):
            _text(answer, joined(tokens))
        _distribution(name, judge, place)


def _scores(row: pd.Series, judge: str) -> None:
    scales = [name.removesuffix("_status") for name in row.index if name.endswith("_status")]
    told = [
        f"{scale} {number(row[scale])}" if np.isfinite(row[scale]) else f"{scale}: {row[f'{scale}_status']}"
        for scale in scales
    ]
    kind = str(row["kind"])
    ink = KIND_INKS[kind].css
    st.html(f'<span style="color:{ink};font-weight:600">{KIND_GLYPHS[kind]} {kind}</span>')
    st.caption(
        plain(f"{', '.join(told)} (0 to 100, by {judge})"),
        help="What the judge gave on each scale, or why it has no score. code, refusal: the judge says that "
        "the answer is one. low mass: under a quarter of its probability is on numbers. no advice: the "
        "rubric finds none to score. refused, malformed, unreachable: the judge gave no number, or nothing.",
    )


def _text(answer: Answer, text: str) -> None:
    with st.popover("Text", icon=":material/content_copy:", type="tertiary"):
        st.caption("The answer as it is.")
        st.code(text, language=None, wrap_lines=True)
        st.caption("The prompt, as it was tokenized.")
        st.code(answer.wording.rendered, language=None, wrap_lines=True)


def _distribution(name: str, judge: str, place: int) -> None:
    frame = answers.distribution(name, judge, place)
    if frame.empty:
        return
    scales = list(dict.fromkeys(frame["scale"]))
    st.markdown(
        "**What the judge gave the numbers**",
        help="Probability of each whole number as the judge's first token; the score is their mean, weighted "
        "by it.",
    )
    downloads.chart(
        charts.distribution(frame, scales),
        frame,
        "judge-distribution",
        key="judge-distribution",
        alt="Probability that the judge gave each number, by scale",
    )


def _tokens(name: str, answer: Answer, tokens: list[str]) -> None:
    """The answer's tokens; on demand shaded by what a feature does on each."""
    shade = st.toggle(
        "Shade by a feature",
        **query.SHADE.bound(),
        help="Runs the model once over the prompt and this answer, and shades each token by the feature's "
        "activation on it.",
    )
    values = _activations(name, answer) if shade and tokens else None
    if values is None:
        st.html(f'<div style="{_MONO}">{token_chips(tokens) or "∅"}</div>')
        return
    colour = readers.colours(name).get(answer.variant, ADAPTED)
    top = float(values.max(initial=0.0))
    peak = int(values.argmax()) if top > 0 else None
    shaded = shaded_tokens(tokens, values.tolist(), maximum=top, colour=colour, peak=peak)
    st.html(f'<div style="{_MONO}" class="shaded-answer">{shaded}</div>')
    active = int((values > 0).sum())
    st.caption(
        f"Active on {count(active)} of {count(len(values))} tokens; largest {number(top)}, mean over the "
        f"answer {number(float(values.mean()))}. Shade and tooltip: activation."
        if active
        else "It is active on no token of this answer."
    )
    feature = selection.feature()
    frame = pd.DataFrame({"position": range(len(tokens)), "token": tokens, "activation": values})
    called = names.of_feature(name, feature) if feature is not None else ""
    chosen_feature.buttons(feature, called, frame, key="shade", file="shaded-answer", data="shaded")


def _activations(name: str, answer: Answer) -> np.ndarray | None:
    """What the chosen feature does on the tokens; None, and why, where that is not known."""
    feature = _feature(name, answer.variant)
    reader = answer.variant
    if answer.variant != BASE:
        chosen = st.segmented_control(
            "Read by",
            READERS,
            format_func=_READERS.__getitem__,
            default=READERS[0],
            required=True,
            **query.READ_BY.bound(),
            help="Which weights read the answer: what the variant itself had while it wrote, or what base "
            "makes of the same words.",
        )
        reader = BASE if chosen == READERS[1] else answer.variant
    if feature is None:
        st.caption("Choose a feature, or type its name or its layer and index.")
        return None
    try:
        return live.activations(name, answer, reader, feature, on_stop=_no_more)
    except NotLiveError as error:
        st.info(sentence(message(error)), icon=":material/power_off:")
        return None


def _no_more() -> None:
    st.session_state[query.SHADE.name] = False


def _feature(name: str, variant: str) -> tuple[int, int] | None:
    """The selected feature, of those that tell misaligned answers, or found by name."""
    called = names.of_features(name)
    ranked = _ranked(name, variant)
    now = selection.feature()
    options = list(dict.fromkeys([*([now] if now else []), *ranked]))
    labels = {named(called, each): each for each in options}

    def choose() -> None:
        asked = str(st.session_state.get(_BY) or "")
        feature = labels.get(asked) or forms.parse_feature(asked)
        if feature is None and asked.strip():
            feature = min(names.called(name, asked), default=None)
        if feature is not None:
            selection.choose_feature(*feature)
            url.write()
        else:
            st.session_state["_shade_problem"] = asked

    # The box says what is selected, on whatever page that was.
    st.session_state[_BY] = named(called, now) if now else None
    st.selectbox(
        "Feature",
        list(labels),
        key=_BY,
        index=None,
        placeholder="L2/618, or a part of its name",
        accept_new_options=True,
        on_change=choose,
        help="Those that tell misaligned answers from aligned ones come first, the strongest on top; type to "
        "search, or type layer and index or a part of any feature's name.",
    )
    if (problem := st.session_state.pop("_shade_problem", "")) != "":
        st.warning(
            plain(f"“{problem[:40]}” is no feature, and in no name of one."), icon=":material/search_off:"
        )
    return selection.feature()


def _ranked(name: str, variant: str) -> list[tuple[int, int]]:
    """The first features of the variant's ranking, by its own reading; none where there is no ranking."""
    try:
        contrasts = misalignment.contrasts(name)
        own = contrasts[(contrasts["variant"] == variant) & (contrasts["reader"] == READERS[0])]
        if own.empty:
            own = contrasts[contrasts["reader"] == READERS[0]]
        if own.empty:
            return []
        fdr = answers.thresholds(name).fdr
        frame = misalignment.response_ranking(name, int(own.index[0]), "mean", fdr).head(_RANKED)
    except StoreError:
        return []
    return list(zip(frame["layer"].tolist(), frame["index"].tolist(), strict=True))
