"""What the Steering page asks of models: distributions, doses, samples, and values of the variant beside."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import streamlit as st

from dashboard.data import project
from dashboard.live import models
from dashboard.live.models import EMPTY, Live, NotLiveError, explained
from pipeline.interventions.kinds import Intervention, Setting, Where

if TYPE_CHECKING:
    from pipeline.interventions.results import NextToken
    from pipeline.live.workbench import Sides

T = TypeVar("T")

STRENGTHS: Final = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
"""Of the whole setting, in its dose-response: 0 does nothing, 1 is what the sliders say."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A prompt, the variant that is steered on it, and another one beside it.

    Attributes
    ----------
    made
        Names the weights: of another one everything is made anew.
    variant, other
        Names of both; `other` is empty where there is none.
    live, beside
        Both, loaded; `beside` is None where there is none.
    ids
        The prompt's token ids.
    frozen
        What stays as it is, one of `store.schema.vocabulary.FROZEN`.
    """

    made: str
    variant: str
    other: str
    live: Live
    beside: Live | None
    ids: tuple[int, ...]
    frozen: str


def bench(profile: str, variant: str, other: str, source: tuple[int, ...] | str, frozen: str) -> Bench:
    """Load both variants, and make a typed text token ids, BOS in front.

    Raises
    ------
    NotLiveError
        A model cannot run here, or the text is empty or too long.
    """
    live = models.load(profile, variant)
    ids = _token_ids(live, source) if isinstance(source, str) else source
    return Bench(
        made=project.stamp(project.artifact(profile, "models.json")),
        variant=variant,
        other=other,
        live=live,
        beside=models.load(profile, other) if other else None,
        ids=ids,
        frozen=frozen,
    )


def _token_ids(live: Live, text: str) -> tuple[int, ...]:
    if not text.strip():
        raise NotLiveError(EMPTY)
    with explained():
        ids = tuple(int(token) for token in live.subject.encode(text))
    if len(ids) > live.engine.context:
        raise NotLiveError(f"The prompt is {len(ids)} tokens long; the model takes {live.engine.context}.")
    return ids


def _kept(slot: str, key: Hashable, make: Callable[[], T]) -> T:
    """What was made last in a session under a name, made anew for another key."""
    name = f"_kept_{slot}"
    if name not in st.session_state or st.session_state[name][0] != key:
        st.session_state[name] = (key, make())
    kept: T = st.session_state[name][1]
    return kept


def _acting(setting: Sequence[Intervention]) -> Setting:
    return tuple(one for one in setting if not one.does_nothing)


def next_token(bench: Bench, setting: Sequence[Intervention]) -> "NextToken":
    """Next-token distribution before and after, with the random controls; asked once a setting.

    Raises
    ------
    NotLiveError
        A feature or position that the model does not have.
    """
    from pipeline.live import frozen_by_name

    acting = _acting(setting)

    def make() -> "NextToken":
        bench.live.use_threads()
        with explained():
            frozen = frozen_by_name(bench.live.subject, bench.frozen)
            return bench.live.engine.next_token(bench.ids, acting, frozen=frozen)

    return _kept("next_token", (bench.made, bench.variant, bench.ids, bench.frozen, acting), make)


def beside_logits(bench: Bench) -> np.ndarray | None:
    """(token,) float32 logits of the variant beside, unsteered; None where there is none."""
    beside = bench.beside
    if beside is None:
        return None

    def make() -> np.ndarray:
        beside.use_threads()
        with explained():
            logits: np.ndarray = beside.engine.logits(bench.ids, [()])[0]
            return logits

    return _kept("beside", (bench.made, bench.other, bench.ids), make)


def borrow(bench: Bench, feature: tuple[int, int], where: Where) -> Intervention:
    """A feature at the activations that it has in the variant beside.

    Raises
    ------
    NotLiveError
        There is no variant beside, or the place is behind the prompt.
    """
    if bench.beside is None:
        raise NotLiveError(
            f"L{feature[0]}/{feature[1]} cannot be patched: no other variant is here to take its value from; "
            "choose an adapted one as variant B in the sidebar."
        )
    from pipeline.live import borrowed

    beside = bench.beside.subject

    def make() -> dict[tuple[tuple[int, int], Where], Intervention]:
        return {}

    known = _kept("borrowed", (bench.made, bench.other, bench.ids), make)
    if (feature, where) not in known:
        bench.live.use_threads()
        with explained():
            known[feature, where] = borrowed(beside, bench.ids, feature, where)
    return known[feature, where]


def doses(bench: Bench, setting: Sequence[Intervention]) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities at `STRENGTHS` of a setting, and of its controls: see `pipeline.live.dose_response`.

    Raises
    ------
    NotLiveError
        As `next_token`.
    """
    from pipeline.live import dose_response, frozen_by_name

    acting = _acting(setting)

    def make() -> tuple[np.ndarray, np.ndarray]:
        bench.live.use_threads()
        with explained():
            frozen = frozen_by_name(bench.live.subject, bench.frozen)
            return dose_response(bench.live.engine, bench.ids, acting, STRENGTHS, frozen)

    return _kept("doses", (bench.made, bench.variant, bench.ids, bench.frozen, acting), make)


def sample(
    bench: Bench,
    setting: Sequence[Intervention],
    *,
    n: int,
    max_new_tokens: int,
    temperature: float,
    forced: tuple[int, ...],
) -> Iterator["Sides"]:
    """Iterator of continuations before and after, growing token by token, then of the variant beside.

    Raises
    ------
    NotLiveError
        As `next_token`, at once.
    """
    from pipeline.live import frozen_by_name, sample_sides

    bench.live.use_threads()
    with explained():
        return sample_sides(
            bench.live.subject,
            None if bench.beside is None else bench.beside.subject,
            bench.ids,
            _acting(setting),
            n=n,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            forced=forced,
            frozen=frozen_by_name(bench.live.subject, bench.frozen),
        )
