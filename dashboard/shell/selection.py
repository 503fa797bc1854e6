"""What is selected: chosen once, kept from page to page, and in every link (`dashboard.shell.url`)."""

from typing import Final, NoReturn

import streamlit as st

from dashboard.pages import Page
from dashboard.shell import forms, query, url
from dashboard.shell.parameter import Parameter

_ANEW: Final = "_chosen_anew"
_OF_A_PROFILE: Final = (
    query.A,
    query.B,
    query.PROMPT,
    query.FEATURE,
    query.PINS,
    query.ANSWER,
    query.BEHAVIOUR_PROMPT,
)


def get(parameter: Parameter) -> str | None:
    """A selected value, None where nothing is selected."""
    value = st.session_state.get(parameter.name)
    return str(value) if value else None


def choose(parameter: Parameter, value: str) -> None:
    """Select a value on every page; '' for none."""
    st.session_state[parameter.name] = value


def choose_anew(parameter: Parameter, value: str) -> NoReturn:
    """Select a value whose widget has been drawn already: in a run of its own, before it is drawn."""
    st.session_state[_ANEW] = (parameter.name, value)
    st.rerun()


def take_over() -> None:
    """Select what `choose_anew` asked for: before any widget is drawn."""
    if (asked := st.session_state.pop(_ANEW, None)) is not None:
        name, value = asked
        st.session_state[name] = value


def feature() -> tuple[int, int] | None:
    """The selected feature as (layer, index)."""
    value = get(query.FEATURE)
    return forms.parse_feature(value) if value else None


def choose_feature(layer: int, index: int) -> None:
    """Select a feature on every page."""
    choose(query.FEATURE, f"L{layer}/{index}")


def answer() -> tuple[str, str, int] | None:
    """The selected answer as (question hash, variant, place in its item)."""
    value = get(query.ANSWER)
    return forms.parse_answer(value) if value else None


def pins() -> tuple[str, ...]:
    """Node ids pinned in the graph."""
    value = get(query.PINS)
    return (forms.parse_pins(value) or ()) if value else ()


def choose_pins(nodes: list[str]) -> None:
    """Pin these nodes; ill-formed ids are dropped, the newest `forms.MAX_PINS` are kept."""
    good = [node for node in dict.fromkeys(nodes) if forms.is_pin(node)]
    choose(query.PINS, ",".join(good[-forms.MAX_PINS :]))


def forget() -> None:
    """Drop what belongs to one profile: variants, prompt, feature and pins."""
    for parameter in _OF_A_PROFILE:
        st.session_state.pop(parameter.name, None)
    url.drop(*_OF_A_PROFILE)


def go(page: Page) -> NoReturn:
    """Turn to another page; the session takes the selection there, and `url.write` names it.

    Left to itself, `st.switch_page` refuses to where a widget is bound to the address.
    """
    st.switch_page(page.script, query_params={})
