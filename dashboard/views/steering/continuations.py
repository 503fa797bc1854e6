"""Continuations of base, adapted and steered model, side by side, judged as they grow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.data import documents, project
from dashboard.live import workbench
from dashboard.live.models import NotLiveError
from dashboard.live.workbench import Bench
from dashboard.shell import downloads, query, url
from dashboard.style.text import count, percent, plain, sentence, share_interval
from dashboard.views.steering.token_choice import Tokens, tokens_of
from dashboard.widgets.continuation_list import continuation_html
from pipeline.analysis.intervals import wilson_interval
from pipeline.interventions.kinds import Intervention
from pipeline.text.lexicon import classify, classify_so_far
from store.documents.variants import BASE

if TYPE_CHECKING:
    from pipeline.live.workbench import Sides

NOT_LABELLED: Final = "Not labelled: the prompt's domain has no lexicon."
_CONFIDENCE: Final = 0.95
_STATE: Final = "_sampled"

_Texts = dict[str, list[str]]
"""Texts by side: before, after, and other where there is a variant beside."""
_Phrases = dict[str, list[str]] | None


@st.fragment
def show(
    name: str,
    bench: Bench,
    setting: list[Intervention],
    domain: str | None,
    offered: Sequence[int],
    known: Tokens,
) -> None:
    """Sample on demand, show tokens as they come, and keep the last samples in sight.

    Parameters
    ----------
    name, domain
        Profile, and the domain whose phrases judge.
    bench, setting
        What is steered, and how.
    offered
        Tokens to continue from.
    known
        All tokens.
    """
    st.subheader("Continuations", anchor=False)
    n, length, temperature, forced, go = _controls(offered, known)
    key = (
        (name, bench.variant, bench.other, bench.ids, bench.frozen, tuple(setting)),
        (n, length, temperature, forced),
    )
    phrases: _Phrases = None
    if project.made(name, "lexicon.json"):
        labelled = documents.lexicon(name)["domains"].get(domain or "")
        phrases = None if labelled is None else labelled["phrases"]
    kept = st.session_state.get(_STATE)
    said = st.empty()
    stale = False
    if kept is not None and not go and kept[0] != key:
        stale = True
        said.info(
            plain(f"Sampled with other settings than those above ({kept[2]}); sample again."),
            icon=":material/history:",
        )
    slots = _slots(bench)
    if go:
        begin = f"from {known.name(forced[0])}: " if forced else ""
        told = (
            f"{begin}{name}, {bench.variant}, {n} samples of {length} tokens at temperature {temperature:g}"
        )
        try:
            texts = _stream(bench, setting, said, slots, phrases, n, length, temperature, forced)
        except NotLiveError as error:
            st.error(sentence(str(error)), icon=":material/error:")
            return
        st.session_state[_STATE] = (key, texts, told)
    elif kept is not None and kept[1].keys() == slots.keys():
        texts = kept[1]
        for side, slot in slots.items():
            slot.html(continuation_html(texts[side], [_outcome(text, phrases) for text in texts[side]]))
    else:
        return
    _take(bench, texts, phrases, counted=not stale)


def _controls(offered: Sequence[int], known: Tokens) -> tuple[int, int, float, tuple[int, ...], bool]:
    """How many, how long, how warm, behind which token, and whether to begin."""
    columns = st.columns([1, 1, 1, 1.2, 1.1], vertical_alignment="bottom")
    n = columns[0].slider(
        "Samples",
        1,
        20,
        value=8,
        **query.SAMPLES.bound(),
        help="On every side, with the same random numbers.",
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
    key = query.FROM.key()
    # What was typed, or stands in the link, is offered as it is: whether it is a token is said below.
    present = [each for each in [st.session_state.get(key), *url.given_all(key)] if each]
    wanted = columns[3].selectbox(
        "Continue from",
        list(dict.fromkeys([*(known.name(token) for token in offered), *present])),
        index=None,
        **query.FROM.bound(),
        accept_new_options=True,
        placeholder="the model's own",
        help="A next token that every side has to take; what follows it is sampled. Pick one, or type it as "
        "the chart shows it.",
    )
    go = columns[4].button("Sample", icon=":material/play_arrow:", type="primary", key="sample")
    forced = tuple(tokens_of([str(wanted)], known)) if wanted else ()
    return int(n), int(length), float(temperature), forced, go


def _slots(bench: Bench) -> dict[str, DeltaGenerator]:
    """A place for each side's texts, by side: base first, then adapted, then steered."""
    titles = {"before": f"{bench.variant}, unsteered"}
    if bench.other:
        titles["other"] = f"{bench.other}, unsteered"
    order = sorted(titles, key=lambda side: not titles[side].startswith(f"{BASE},"))
    titles["after"] = f"{bench.variant}, steered"
    found = {}
    for column, side in zip(st.columns(len(titles)), (*order, "after"), strict=True):
        column.markdown(f"**{plain(titles[side])}**")
        found[side] = column.empty()
    return found


def _stream(
    bench: Bench,
    setting: Sequence[Intervention],
    said: DeltaGenerator,
    slots: dict[str, DeltaGenerator],
    phrases: _Phrases,
    n: int,
    length: int,
    temperature: float,
    forced: tuple[int, ...],
) -> _Texts:
    """Fill the places as tokens come; all texts at the end."""
    texts: _Texts = {side: [] for side in slots}
    grown = workbench.sample(
        bench, setting, n=n, max_new_tokens=length, temperature=temperature, forced=forced
    )
    for sides in grown:
        first = not sides.other
        who = f"{bench.variant}, with and without steering" if first else bench.other
        said.progress(
            min(sides.step / length, 1.0), text=plain(f"{who}: {sides.step} of at most {length} tokens")
        )
        for side, rows in _new(sides):
            # A row that is shorter than what was drawn has ended.
            done = sides.steered if side != "other" else sides.done
            texts[side] = [bench.live.engine.decode(bench.ids, (*forced, *row)) for row in rows]
            outcomes = [
                _outcome(text, phrases, done=done or len(row) < sides.step)
                for text, row in zip(texts[side], rows, strict=True)
            ]
            slots[side].html(continuation_html(texts[side], outcomes))
    said.empty()
    return texts


def _new(sides: "Sides") -> list[tuple[str, tuple[tuple[int, ...], ...]]]:
    """The sides that a step has changed."""
    if sides.other:
        return [("other", sides.other)]
    return [("before", sides.before), ("after", sides.after)]


def _outcome(text: str, phrases: _Phrases, *, done: bool = True) -> str:
    """What a continuation is, by the domain's phrases: said as soon as nothing that follows can change it."""
    if not phrases:
        return "unlabelled"
    if done:
        return classify(text, phrases)
    return classify_so_far(text, phrases) or "unlabelled"


def _take(bench: Bench, texts: _Texts, phrases: _Phrases, *, counted: bool) -> None:
    names = {"before": bench.variant, "other": bench.other, "after": f"{bench.variant}, steered"}
    frame = pd.DataFrame(
        [
            {"side": side, "variant": names[side], "outcome": _outcome(text, phrases), "continuation": text}
            for side, many in texts.items()
            for text in many
        ]
    )
    if not phrases:
        st.caption(NOT_LABELLED)
    elif counted:
        shares = []
        for side, many in texts.items():
            harmful = sum(_outcome(text, phrases) == "harmful" for text in many)
            bounds = share_interval(*wilson_interval(harmful, len(many), _CONFIDENCE))
            share = percent(harmful / len(many))
            shares.append(f"{names[side]} {share} {bounds} ({count(harmful)} of {count(len(many))})")
        st.caption(
            f"Harmful: {plain('; '.join(shares))}.",
            help="By the phrases of the prompt's domain that a continuation starts with; Wilson's interval "
            f"of {percent(_CONFIDENCE)}. All sides are drawn with the same random numbers.",
        )
    downloads.downloads(frame, "continuations", key="continuations")
