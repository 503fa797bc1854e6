"""The widgets of the Steering page that say how a feature is turned, how much and where."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import streamlit as st

from dashboard.data import names, readers
from dashboard.live.models import NotLiveError
from dashboard.shell import query
from dashboard.style.text import number, plain, sentence
from dashboard.views.steering.feature_choice import MAX_FEATURES
from dashboard.views.steering.places import WHERE, choose_place, position_names
from pipeline.interventions.kinds import KINDS, Intervention, Mode, Setting, Where

_NUMBERED: Final[tuple[Mode, ...]] = ("set", "add", "multiply", "ablate", "inhibit")
"""Those that take no number from another pass."""
_MODES: Final[tuple[Mode, ...]] = (*_NUMBERED, "patch")
FACTOR: Final = 20.0
"""The largest factor, either way."""


def _range(mode: Mode, top: float) -> tuple[float, float, float]:
    """Lowest and highest value of a mode's slider, and where it begins."""
    if mode == "multiply":
        return -FACTOR, FACTOR, 2.0
    if mode == "inhibit":
        return 0.0, FACTOR, 1.0
    return (-2 * top if mode == "add" else 0.0), 4 * top, top


class NotShownError(Exception):
    """A setting that these widgets cannot show; the message says why."""


def widget_values(setting: Setting, largest: Callable[[int, int], float]) -> dict[str, Any]:
    """What the widgets' state must be for `choose_intervention` to say each step of a setting again.

    Parameters
    ----------
    setting
        What is done.
    largest
        Largest activation of a feature, by layer and index: it decides how far sliders reach.

    Raises
    ------
    NotShownError
        The page has no widgets for it.
    """
    steps = [one for one in setting if isinstance(one, Intervention)]
    names = [one.name for one in steps]
    if len(steps) < len(setting):
        raise NotShownError("it adds a direction, for which this page has no slider.")
    if len(steps) > MAX_FEATURES:
        raise NotShownError(f"it turns {len(steps)} features, and this page at most {MAX_FEATURES}.")
    if len(set(names)) < len(names):
        raise NotShownError("it turns one feature twice, and this page once.")
    values: dict[str, Any] = {query.STEER.key(): names}
    for one in steps:
        if one.mode not in _NUMBERED or isinstance(one.value, tuple):
            raise NotShownError(f"{one.name} takes its values from elsewhere.")
        values[query.MODE.key(one.name)] = one.mode
        if KINDS[one.mode].valued:
            low, high, _ = _range(one.mode, largest(one.layer, one.feature))
            if not low <= one.value <= high:
                raise NotShownError(
                    f"{one.name}: {number(one.value)} is beyond its slider, {number(low)} to {number(high)}."
                )
            values[query.VALUES[one.mode].key(one.name)] = one.value
        place = one.where if isinstance(one.where, str) else "positions"
        values[query.WHERE.key(one.name)] = next(words for words, where in WHERE.items() if where == place)
        if not isinstance(one.where, str):
            values[query.POSITIONS.key(one.name)] = list(one.where)
    return values


def linked_values(values: Mapping[str, Any], tokens: Sequence[str]) -> dict[str, list[str]]:
    """What the link says of `widget_values` on a prompt of these tokens."""
    names = position_names(tokens)
    linked = {}
    for key, value in values.items():
        if key.startswith(f"{query.POSITIONS.name}-"):
            linked[key] = [names[position] for position in value if position < len(names)]
        elif value is not None:
            linked[key] = [str(one) for one in (value if isinstance(value, list) else [value])]
    return linked


def _choose_value(label: str, mode: Mode, top: float) -> float:
    """How much; it begins where it does something, so that before and after differ at once."""
    low, high, start = _range(mode, top)
    is_factor = mode in ("multiply", "inhibit")
    if is_factor:
        words = (
            "What the activation is multiplied by; 1 leaves it as it is."
            if mode == "multiply"
            else "The activation becomes minus so many times itself; 0 ablates it."
        )
    else:
        words = f"It begins at the largest activation seen on held-out text, about {number(top)}."
    return float(
        st.slider(
            "Factor" if is_factor else "Activation",
            low,
            high,
            value=start,
            step=0.1,
            **query.VALUES[mode].bound(label),
            help=words,
        )
    )


def choose_intervention(
    name: str,
    feature: tuple[int, int],
    tokens: list[str],
    other: str,
    borrow: Callable[[tuple[int, int], Where], Intervention],
) -> Intervention | None:
    """A feature's widgets: how, how much and where; None, said in a sentence, where it cannot be turned.

    Parameters
    ----------
    name, feature, tokens
        Profile, layer and index, and the prompt's tokens.
    other
        The variant that values are patched from; empty: there is none.
    borrow
        Gives a feature the values that it has there, at a place.
    """
    layer, index = feature
    label = f"L{layer}/{index}"
    top = readers.largest_activation(name, *feature)
    called = names.of_features(name).get(feature)
    columns = st.columns([1, 2.2], vertical_alignment="center")
    columns[0].markdown(f"#### {plain(label)}")
    columns[1].caption(plain(called or ""))
    mode = st.segmented_control(
        "How",
        label_visibility="collapsed",
        options=_MODES,
        default="add",
        required=True,
        **query.MODE.bound(label),
        help=" ".join(f"{mode}: {KINDS[mode].words}." for mode in _NUMBERED)
        + f" patch: the activation becomes what it is in {other or 'another variant'} on the same tokens.",
    )
    value = _choose_value(label, mode, top) if mode in query.VALUES else 0.0
    place = choose_place(label, tokens)
    if place is None:
        return None
    if mode == "patch":
        try:
            return borrow(feature, place)
        except NotLiveError as error:
            st.warning(sentence(str(error)), icon=":material/warning:")
            return None
    return Intervention(layer=layer, feature=index, mode=mode, value=value, where=place)
