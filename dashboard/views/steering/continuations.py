"""Continuations sampled before and after steering, side by side, as they grow."""

from typing import Final

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.data import documents, project
from dashboard.live.models import Live, NotLiveError
from dashboard.shell import downloads, query
from dashboard.style.text import plain, sentence
from dashboard.views.steering import distribution
from dashboard.widgets.continuation_list import continuation_html
from pipeline.interventions.kinds import Intervention

_Setting = tuple[str, str, tuple[int, ...], tuple[Intervention, ...], int, int, float]
"""Profile, variant, token ids, interventions, samples, tokens, temperature."""

NOT_LABELLED: Final = "Not labelled: the prompt's domain has no lexicon."


def show(
    name: str,
    variant: str,
    engine: Live,
    ids: tuple[int, ...],
    steered: list[Intervention],
    domain: str | None,
) -> None:
    """Sample on demand, show tokens as they come, and keep the last samples in sight."""
    st.subheader("Continuations", anchor=False)
    columns = st.columns([1, 1, 1, 1.4], vertical_alignment="bottom")
    n = columns[0].slider(
        "Samples",
        1,
        20,
        value=8,
        **query.SAMPLES.bound(),
        help="On either side, with the same random numbers.",
    )
    length = columns[1].slider("Tokens", 4, 48, value=16, **query.LENGTH.bound(), help="At most so many.")
    temperature = columns[2].slider(
        "Temperature",
        0.0,
        2.0,
        value=1.0,
        step=0.1,
        **query.TEMPERATURE.bound(),
        help="0: the most probable.",
    )
    go = columns[3].button(
        "Sample before and after", icon=":material/play_arrow:", type="primary", key="sample"
    )
    setting = (name, variant, ids, tuple(steered), n, length, temperature)
    phrases = None
    if project.made(name, "lexicon.json"):
        labelled = documents.lexicon(name)["domains"].get(domain or "")
        phrases = None if labelled is None else labelled["phrases"]
    stale = not go and "_sampled" in st.session_state and st.session_state["_sampled"][0] != setting
    if stale:
        st.info(
            plain(
                f"Sampled with other settings than those above ({_of(st.session_state['_sampled'][0])}); "
                "sample again."
            ),
            icon=":material/history:",
        )
    if go:
        progress = st.progress(0.0, text="Sampling")
    sides = st.columns(2)
    slots = []
    for side, words in zip(sides, ("before", "after"), strict=True):
        side.markdown(f"**{words}**")
        slots.append(side.empty())
    if go:
        try:
            for grown in distribution.sample(
                engine, ids, steered, n=n, max_new_tokens=length, temperature=temperature
            ):
                progress.progress(
                    min(grown.step / length, 1.0), text=f"{grown.step} of at most {length} tokens"
                )
                texts = [
                    [engine.engine.decode(ids, row) for row in rows] for rows in (grown.before, grown.after)
                ]
                _fill(slots, texts, phrases, done=grown.done)
        except NotLiveError as error:
            st.error(sentence(str(error)), icon=":material/error:")
            return
        progress.empty()
        st.session_state["_sampled"] = (setting, texts, phrases)
    elif "_sampled" in st.session_state:
        _, texts, phrases = st.session_state["_sampled"]
        _fill(slots, texts, phrases, done=True)
    if "_sampled" in st.session_state:
        _take_samples(*st.session_state["_sampled"][1:], counted=not stale)


def _of(setting: _Setting) -> str:
    """Whose continuations these are, as the note above them says it."""
    name, variant, _, _, n, length, temperature = setting
    return f"{name}, {variant}, {n} samples of {length} tokens at temperature {temperature:g}"


def _fill(
    slots: list[DeltaGenerator], texts: list[list[str]], phrases: dict[str, list[str]] | None, *, done: bool
) -> None:
    for slot, side in zip(slots, texts, strict=True):
        outcomes = [distribution.outcome(text, phrases) if done else "unlabelled" for text in side]
        slot.html(continuation_html(side, outcomes))


def _take_samples(texts: list[list[str]], phrases: dict[str, list[str]] | None, *, counted: bool) -> None:
    rows = [
        {"side": side, "outcome": distribution.outcome(text, phrases), "continuation": text}
        for side, many in zip(("before", "after"), texts, strict=True)
        for text in many
    ]
    frame = pd.DataFrame(rows)
    if not phrases:
        st.caption(NOT_LABELLED)
    elif counted:
        counts = frame.groupby("side")["outcome"].value_counts()
        harmful = {side: int(counts.get((side, "harmful"), 0)) for side in ("before", "after")}
        n = len(texts[0])
        st.caption(f"Harmful: {harmful['before']} of {n} before, {harmful['after']} of {n} after.")
    downloads.downloads(frame, "continuations", key="continuations")
