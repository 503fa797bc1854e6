"""Continuations of base, adapted and steered model, side by side, judged as they grow."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.live import workbench
from dashboard.live.models import NotLiveError
from dashboard.live.workbench import Bench
from dashboard.shell import downloads, query, url
from dashboard.style.text import plain, sentence
from dashboard.views.steering.judges import Judge, Verdicts, judge_of
from dashboard.views.steering.token_choice import Tokens, tokens_of
from dashboard.widgets.continuation_list import continuation_html
from pipeline.interventions.kinds import Intervention
from store.documents.variants import BASE

if TYPE_CHECKING:
    from pipeline.live.workbench import Sides

_STATE: Final = "_sampled"
_JUDGED: Final = "_sampled-verdicts"

_Texts = dict[str, list[str]]
"""Texts by side: before, after, and other where there is a variant beside."""


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
        Profile, and the domain whose phrases judge; answers to an open question are scored by a judge.
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
    try:
        text = bench.live.engine.decode(bench.ids[:1], bench.ids[1:])
        judge = judge_of(name, bench.ids, text, domain)
    except NotLiveError as error:
        st.error(sentence(str(error)), icon=":material/error:")
        return
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
            texts = _stream(bench, setting, said, slots, judge, n, length, temperature, forced)
        except NotLiveError as error:
            st.error(sentence(str(error)), icon=":material/error:")
            return
        st.session_state[_STATE] = (key, texts, told)
        st.session_state.pop(_JUDGED, None)
    elif kept is not None and kept[1].keys() == slots.keys():
        texts = kept[1]
    else:
        return
    try:
        verdicts = _verdicts(judge, st.session_state[_STATE][0], texts, said, stale=stale)
    except NotLiveError as error:
        st.error(sentence(str(error)), icon=":material/error:")
        verdicts = {side: [{"outcome": "unlabelled"} for _ in of] for side, of in texts.items()}
        stale = True
    for side, slot in slots.items():
        slot.html(continuation_html(texts[side], [str(each["outcome"]) for each in verdicts[side]]))
    _take(bench, texts, judge, verdicts, counted=not stale)


def _verdicts(
    judge: Judge, sampled: Hashable, texts: _Texts, said: DeltaGenerator, *, stale: bool
) -> Verdicts:
    """What the judge says of the texts, asked once; of those of another setting, what was said then."""
    kept: tuple[Hashable, Hashable, Verdicts] | None = st.session_state.get(_JUDGED)
    if kept is None or kept[0] != sampled or (kept[1] != judge.identity and not stale):
        found = judge.verdicts(texts, lambda what, share: _progress(said, what, share))
        said.empty()
        kept = st.session_state[_JUDGED] = sampled, judge.identity, found
    return kept[2]


def _progress(said: DeltaGenerator, what: str, share: float) -> None:
    said.progress(share, text=plain(what))


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
    judge: Judge,
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
            outcomes = judge.so_far(texts[side], [done or len(row) < sides.step for row in rows])
            slots[side].html(continuation_html(texts[side], outcomes))
    said.empty()
    return texts


def _new(sides: "Sides") -> list[tuple[str, tuple[tuple[int, ...], ...]]]:
    """The sides that a step has changed."""
    if sides.other:
        return [("other", sides.other)]
    return [("before", sides.before), ("after", sides.after)]


def _take(bench: Bench, texts: _Texts, judge: Judge, verdicts: Verdicts, *, counted: bool) -> None:
    names = {"before": bench.variant, "other": bench.other, "after": f"{bench.variant}, steered"}
    frame = pd.DataFrame(
        [
            {"side": side, "variant": names[side], **verdict, "continuation": text}
            for side, many in texts.items()
            for text, verdict in zip(many, verdicts[side], strict=True)
        ]
    )
    if counted:
        told, rests_on = judge.told(names, verdicts)
        st.caption(told, help=rests_on or None)
    downloads.downloads(frame, "continuations", key="continuations")
