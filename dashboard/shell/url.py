"""The URL: each of its parameters is declared here, and no other module touches it.

What a link says is of two kinds, and Streamlit has one means for each. What is selected travels
from page to page and is mostly no widget's value (a feature, pinned nodes, a typed text): this
module keeps it in the session and writes it into the URL. What a page's own widget says belongs to
that page: Streamlit binds it to the URL (`Parameter.bound`), with its options, range and
default, and follows it while a fragment reruns alone.

Neither can do the other's work. A bound parameter is dropped when its page is left, must be a
widget's, cannot be set by a script, and a wrong link gives another value in silence. Widgets kept
as the selection is would need their options, ranges and defaults a second time. So there are
both, behind one declaration: to add a parameter, add a `Parameter` to `PARAMETERS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypedDict
from urllib.parse import urlencode

import streamlit as st

from dashboard.pages import COMPARE, EVALUATION, FEATURES, LABELS, OVERVIEW, PROVENANCE, STEERING, Page
from dashboard.shell import forms
from dashboard.style.text import shorten

AT: Final = "at"
"""Names the page that an address is of, from here to the browser, which leaves it out of what it shows:
see `dashboard.shell.history`."""

_ARRIVES: Final = "_arrives"

TYPED: Final = "typed prompt"
"""Value of `SOURCE` while a prompt is typed; it has none else."""


class Bound(TypedDict):
    """What a widget takes to be kept in the URL."""

    key: str
    bind: Literal["query-params"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of the URL.

    Attributes
    ----------
    name
        In the URL, and in the session's state.
    form
        What its value must be, in words: it stands behind “is not”.
    fits
        Whether a value has that form; whether it exists is for whoever offers the choice.
    page
        Whose widget says it; None: it is selected once for every page.
    each
        Whether there is one for each of several features: ``mode-L2/618``.
    """

    name: str
    form: str
    fits: Callable[[str], bool]
    page: Page | None = None
    each: bool = False

    def key(self, of: str = "") -> str:
        """Its name, of the feature where there is one for each."""
        return f"{self.name}-{of}" if self.each else self.name

    def bound(self, of: str = "") -> Bound:
        """Options of the widget that says it: ``st.selectbox(..., **OUTCOME.bound())``."""
        return {"key": self.key(of), "bind": "query-params"}


_VARIANT_FORM: Final = "a variant such as base or general@1.0"


def _choice(page: Page, name: str, *choices: str, each: bool = False) -> Parameter:
    form = f"one of {', '.join(choices)}"
    return Parameter(name=name, form=form, fits=forms.one_of(*choices), page=page, each=each)


def _name(page: Page, name: str, form: str, *, each: bool = False) -> Parameter:
    return Parameter(name=name, form=form, fits=forms.is_name, page=page, each=each)


def _number(page: Page, name: str, *, each: bool = False) -> Parameter:
    return Parameter(name=name, form="a number", fits=forms.is_number, page=page, each=each)


def _switch(page: Page, name: str) -> Parameter:
    return _choice(page, name, "true", "false")


PROFILE: Final = Parameter(name="profile", form="the name of a profile", fits=forms.is_profile)
A: Final = Parameter(name="a", form=_VARIANT_FORM, fits=forms.is_variant)
B: Final = Parameter(name="b", form=_VARIANT_FORM, fits=forms.is_variant)
PROMPT: Final = Parameter(name="prompt", form="a prompt hash (12 hex digits)", fits=forms.is_prompt_hash)
FEATURE: Final = Parameter(name="feature", form="a feature such as L2/618", fits=forms.is_feature)
PINS: Final = Parameter(name="pins", form="a list of graph nodes", fits=forms.is_pins)
SOURCE: Final = Parameter(name="source", form=f"“{TYPED}”", fits=forms.one_of(TYPED))
TEXT: Final = Parameter(
    name="typed-text", form=f"a text of at most {forms.MAX_TEXT:,} characters", fits=forms.is_text
)
DOMAIN: Final = Parameter(name="typed-domain", form="the name of a domain", fits=forms.is_name)

FIND: Final = _name(OVERVIEW, "find", "a short text")
FOUND_DOMAIN: Final = _name(OVERVIEW, "prompts-of", "the name of a domain")
FOUND_SPLIT: Final = _choice(OVERVIEW, "prompts", "all prompts", "held out", "seen")
FOUND_ORDER: Final = _name(OVERVIEW, "prompts-by", "an order of the prompts")

VIEW: Final = _name(COMPARE, "view", "a tab of the page")
SHOW: Final = _choice(COMPARE, "show", "Both", "Difference")
ADAPTERS: Final = _switch(COMPARE, "adapters")
NODES: Final = _number(COMPARE, "nodes")
EDGES: Final = _number(COMPARE, "edges")
SCORED: Final = _name(COMPARE, "scored", "a contrast or a candidate")
DOSED_BY: Final = _choice(COMPARE, "against", "adapter scale", "training step")
WRITTEN_ON: Final = _name(COMPARE, "written-on", "a contrast or a candidate")
WRITE_SCORE: Final = _choice(COMPARE, "write-score", "direct", "total effect")

SCORE: Final = _name(FEATURES, "score", "a score")
CONTRAST: Final = _name(FEATURES, "contrast", "a contrast in words")
RANKED_DOMAIN: Final = _name(FEATURES, "domain", "the name of a domain")
LAYER: Final = _name(FEATURES, "layer", "a layer such as L2")
ORDER: Final = _name(FEATURES, "order", "an order of the ranking")
TESTED: Final = _switch(FEATURES, "tested")
CARD: Final = _choice(FEATURES, "card", "Contexts", "Tokens", "Situations", "Activations", "Edges")
CONTEXTS: Final = _name(FEATURES, "contexts", _VARIANT_FORM)

STEERED: Final = _name(STEERING, "steered", _VARIANT_FORM)
STEER: Final = _name(STEERING, "steer", "a feature such as L2/618")
MODE: Final = _choice(STEERING, "mode", "set", "add", "multiply", each=True)
VALUES: Final = {mode: _number(STEERING, mode, each=True) for mode in ("set", "add", "multiply")}
WHERE: Final = _name(STEERING, "where", "where a feature is turned", each=True)
POSITIONS: Final = _name(STEERING, "positions", "a position of the prompt", each=True)
SAMPLES: Final = _number(STEERING, "samples")
LENGTH: Final = _number(STEERING, "length")
TEMPERATURE: Final = _number(STEERING, "temperature")

CHOSEN: Final = _choice(LABELS, "chosen", "drawn for me", "by hand")
LABELLED_DOMAIN: Final = _name(LABELS, "labelled-domain", "the name of a domain")
LABELLED_STATE: Final = _name(LABELS, "labelled", "how prompts stand")

OUTCOME: Final = _choice(EVALUATION, "outcome", "harmful", "safe", "neither")
SITUATION: Final = _name(EVALUATION, "situation", "a situation")

ARTIFACT: Final = _name(PROVENANCE, "artifact", "the name of an artifact")

SELECTED: Final = (PROFILE, A, B, PROMPT, FEATURE, PINS, SOURCE, TEXT, DOMAIN)
"""Selected once for every page, kept in the session."""

TYPED_PROMPT: Final = (SOURCE, TEXT, DOMAIN)
"""Of a typed prompt in the selected one's place: that it is, its text, and the domain of its labels."""

PARAMETERS: Final = (
    *SELECTED,
    *(FIND, FOUND_DOMAIN, FOUND_SPLIT, FOUND_ORDER),
    *(VIEW, SHOW, ADAPTERS, NODES, EDGES, SCORED, WRITTEN_ON, WRITE_SCORE),
    *(SCORE, CONTRAST, RANKED_DOMAIN, LAYER, ORDER, TESTED, CARD, CONTEXTS),
    *(STEERED, STEER, MODE, *VALUES.values(), WHERE, POSITIONS, SAMPLES, LENGTH, TEMPERATURE),
    *(CHOSEN, LABELLED_DOMAIN, LABELLED_STATE),
    *(OUTCOME, SITUATION),
    ARTIFACT,
)
"""All there are."""


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


def choose_first(parameter: Parameter, values: list[str]) -> None:
    """Choose what a widget bound to the URL shows at its first drawing on this page.

    Streamlit writes later choices of a script into the URL, but not this one, and Back would lose it.
    """
    st.session_state[parameter.name] = values
    st.query_params[parameter.name] = values


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
