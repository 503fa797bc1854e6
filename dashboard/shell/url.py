"""The URL: what it says is read and written here, and by no other module.

What a link says is of two kinds, and Streamlit has one means for each. What is selected travels
from page to page and is mostly no widget's value (a feature, pinned nodes, a typed text): this
module keeps it in the session and writes it into the URL. What a page's own widget says belongs to
that page: Streamlit binds it to the URL (`Parameter.bound`), with its options, range and
default, and follows it while a fragment reruns alone.

Neither can do the other's work. A bound parameter is dropped when its page is left, must be a
widget's, cannot be set by a script, and a wrong link gives another value in silence. Widgets kept
as the selection is would need their options, ranges and defaults a second time. So there are
both, behind one declaration: to add a parameter, add a `Parameter` to `dashboard.shell.query`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import streamlit as st

from dashboard.shell.parameter import Parameter
from dashboard.shell.query import DOMAIN, PARAMETERS, SELECTED, SOURCE, TEXT, TYPED_PROMPT
from dashboard.style.text import shorten

AT: Final = "at"
"""Names the page that an address is of, from here to the browser, which leaves it out of what it shows:
see `dashboard.shell.history`."""

_ARRIVES: Final = "_arrives"

_NAMES: Final = tuple(each.name for each in SELECTED)
_KEPT: Final = (TEXT.name, DOMAIN.name)
"""What was typed is kept for later, also where the link does not name it."""


def check(values: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Well-formed values of what is selected, and one sentence for each that is not."""
    good: dict[str, str] = {}
    problems: list[str] = []
    for parameter in SELECTED:
        value = values.get(parameter.name)
        if not value:
            continue
        if parameter.fits(value):
            good[parameter.name] = value
        else:
            problems.append(_problem(parameter.name, value, parameter))
    return good, problems


def _problem(key: str, value: str, parameter: Parameter) -> str:
    return f"The link's {key} “{shorten(value, 40)}” is not {parameter.form}; it was left out."


def read(page: str, *, restores: bool) -> list[str]:
    """Take over what the URL says where it leads: at a session's start, and on Back and Forward.

    Else the session leads and the URL follows (`write`). What the browser says of it then is older
    than a choice that has just been made, and on the way to another page it is empty.

    Parameters
    ----------
    page
        Name of the page that is drawn: its widgets take their own parameters over, and leave
        out silently what they do not offer.
    restores
        Whether this is Back or Forward: what the URL does not name was not selected then.

    Returns
    -------
    list of str
        Problems with the link, each in a sentence.
    """
    problems: list[str] = []
    if restores or AT not in st.session_state:
        good, problems = check({key: value for key in _NAMES if (value := given(key)) is not None})
        for key in _NAMES:
            if key in good:
                st.session_state[key] = good[key]
            elif restores and key not in _KEPT:
                st.session_state.pop(key, None)
    if restores:
        # The browser strips it, and may have heard of another page since, whose run Back has overtaken.
        st.query_params[AT] = page
    if st.session_state.get(AT) != page:
        st.session_state[_ARRIVES] = True
    st.session_state[AT] = page
    return problems + _of_widgets(page)


def arrives() -> bool:
    """Whether a person comes to the page from another one, or to the app: said once a visit."""
    return bool(st.session_state.pop(_ARRIVES, False))


def _of_widgets(page: str) -> list[str]:
    """Problems with the parameters of a page's widgets, each said once."""
    said: set[tuple[str, str]] = st.session_state.setdefault("_url_said", set())
    problems = []
    for key in st.query_params:
        for parameter in PARAMETERS:
            if parameter.page is None or parameter.page.name != page:
                continue
            if key != parameter.name and not (parameter.each and key.startswith(f"{parameter.name}-")):
                continue
            wrong = [value for value in given_all(key) if value and not parameter.fits(value)]
            problems += [_problem(key, value, parameter) for value in wrong if (key, value) not in said]
            said.update((key, value) for value in wrong)
    return problems


def write() -> None:
    """Make the URL say what is selected, in one step: every message to the browser is an address."""
    written = selected()
    changed = {key: value for key, value in written.items() if st.query_params.get(key) != value}
    page = st.session_state[AT]
    if changed or given(AT) not in (None, page):
        st.query_params.update(changed | {AT: page})
    drop(*(each for each in SELECTED if each.name not in written))


def drop(*parameters: Parameter) -> None:
    """Take selected parameters out of the URL."""
    for parameter in parameters:
        if parameter.name in st.query_params:
            del st.query_params[parameter.name]


def selected() -> dict[str, str]:
    """What the URL says: everything selected, and what is typed where it is looked at."""
    typed = bool(st.session_state.get(SOURCE.name))
    names = [each.name for each in SELECTED if typed or each not in TYPED_PROMPT]
    return {name: str(value) for name in names if (value := st.session_state.get(name))}


def choose_first(parameter: Parameter, values: list[str], shown: Callable[[str], str] = str) -> None:
    """Choose what a widget bound to the URL shows at its first drawing on this page.

    Streamlit writes later choices of a script into the URL, but not this one, and Back would lose it. It
    writes options as they are `shown`.
    """
    st.session_state[parameter.name] = values
    st.query_params[parameter.name] = [shown(value) for value in values]


def choose(values: Mapping[str, Any], shown: Mapping[str, list[str]]) -> None:
    """Set widgets that are bound to the URL before they are drawn, and say it there as they would.

    Streamlit does not write what a widget begins with, and Back and the link would lose it; what widgets
    have that are there already it writes, and nobody else may.

    Parameters
    ----------
    values
        By the widget's key.
    shown
        What the link says, by the same keys: options as they are shown.
    """
    st.query_params.update({key: said for key, said in shown.items() if key not in st.session_state})
    st.session_state.update(values)


def given(key: str) -> str | None:
    """What the URL says of a parameter now; None where it says nothing."""
    return st.query_params.get(key)


def given_all(key: str) -> list[str]:
    """All that the URL says of a parameter of several values."""
    return st.query_params.get_all(key)


def link(address: str) -> str:
    """Address of the current view for a colleague, with everything selected."""
    bare = address.split("?", 1)[0]
    values = {key: given_all(key) for key in st.query_params if key != AT}
    values |= {key: [value] for key, value in selected().items()}
    return f"{bare}?{urlencode(values, doseq=True)}" if values else bare
