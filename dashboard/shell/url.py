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
from typing import Any, Final
from urllib.parse import urlencode

import streamlit as st

from dashboard.pages import (
    BEHAVIOURS,
    COMPARE,
    EVALUATION,
    FEATURES,
    INTERVENTIONS,
    LABELS,
    OVERVIEW,
    PROVENANCE,
    STEERING,
)
from dashboard.shell import forms
from dashboard.shell.parameter import Parameter, choice, number, short_text, switch
from dashboard.style.text import shorten
from store.documents.behaviour_prompts import SPLITS
from store.schema.answer_features import READERS
from store.schema.misalignment import DENOMINATORS
from store.schema.response_features import STATISTICS
from store.schema.vocabulary import CAUSAL, FROZEN, PREDICTING

AT: Final = "at"
"""Names the page that an address is of, from here to the browser, which leaves it out of what it shows:
see `dashboard.shell.history`."""

_ARRIVES: Final = "_arrives"

TYPED: Final = "typed prompt"
"""Value of `SOURCE` while a prompt is typed; it has none else."""


_VARIANT_FORM: Final = "a variant such as base or general@1.0"

PROFILE: Final = Parameter(name="profile", form="the name of a profile", fits=forms.is_profile)
A: Final = Parameter(name="a", form=_VARIANT_FORM, fits=forms.is_variant)
B: Final = Parameter(name="b", form=_VARIANT_FORM, fits=forms.is_variant)
PROMPT: Final = Parameter(name="prompt", form="a prompt hash (12 hex digits)", fits=forms.is_prompt_hash)
FEATURE: Final = Parameter(name="feature", form="a feature such as L2/618", fits=forms.is_feature)
PINS: Final = Parameter(name="pins", form="a list of graph nodes", fits=forms.is_pins)
ANSWER: Final = Parameter(
    name="answer", form="an answer such as 0123456789ab,general@1.0,7", fits=forms.is_answer
)
BEHAVIOUR_PROMPT: Final = Parameter(
    name="behaviour-prompt", form="a prompt hash (12 hex digits)", fits=forms.is_prompt_hash
)
SOURCE: Final = Parameter(name="source", form=f"“{TYPED}”", fits=forms.one_of(TYPED))
TEXT: Final = Parameter(
    name="typed-text", form=f"a text of at most {forms.MAX_TEXT:,} characters", fits=forms.is_text
)
DOMAIN: Final = Parameter(name="typed-domain", form="the name of a domain", fits=forms.is_name)

FIND: Final = short_text(OVERVIEW, "find", "a short text")
FOUND_DOMAIN: Final = short_text(OVERVIEW, "prompts-of", "the name of a domain")
FOUND_SPLIT: Final = choice(OVERVIEW, "prompts", "all prompts", "held out", "seen")
FOUND_ORDER: Final = short_text(OVERVIEW, "prompts-by", "an order of the prompts")

VIEW: Final = short_text(COMPARE, "view", "a tab of the page")
SHOW: Final = choice(COMPARE, "show", "Both", "Difference")
ADAPTERS: Final = switch(COMPARE, "adapters")
NODES: Final = number(COMPARE, "nodes")
EDGES: Final = number(COMPARE, "edges")
SCORED: Final = short_text(COMPARE, "scored", "a contrast or a candidate")
DOSED_BY: Final = choice(COMPARE, "against", "adapter scale", "training step")
WRITTEN_ON: Final = short_text(COMPARE, "written-on", "a contrast or a candidate")
WRITE_SCORE: Final = choice(COMPARE, "write-score", "direct", "total effect")
COMPONENT_MODULE: Final = short_text(COMPARE, "component-module", "a kind of module")
COMPONENT_VALUE: Final = choice(COMPARE, "component-value", "gate", "what it adds")
COMPONENT_SIDE: Final = choice(COMPARE, "component-side", "writes like", "is read by")

SCORE: Final = short_text(FEATURES, "score", "a score")
CONTRAST: Final = short_text(FEATURES, "contrast", "a contrast in words")
RANKED_DOMAIN: Final = short_text(FEATURES, "domain", "the name of a domain")
LAYER: Final = short_text(FEATURES, "layer", "a layer such as L2")
ORDER: Final = short_text(FEATURES, "order", "an order of the ranking")
TESTED: Final = switch(FEATURES, "tested")
CARRIED: Final = choice(FEATURES, "carried", "given", "taken", "with adapter")
CARD: Final = choice(FEATURES, "card", "Contexts", "Tokens", "Situations", "Activations", "Edges")
CONTEXTS: Final = short_text(FEATURES, "contexts", _VARIANT_FORM)

TRIED: Final = choice(INTERVENTIONS, "experiment", *(name.replace("_", " ") for name in CAUSAL))
TRIED_IN: Final = short_text(INTERVENTIONS, "tried-in", _VARIANT_FORM)
STILL: Final = choice(INTERVENTIONS, "frozen", *FROZEN)
TRIED_LAYER: Final = short_text(INTERVENTIONS, "tried-layer", "a layer such as L2")
TRIED_DOMAIN: Final = short_text(INTERVENTIONS, "tried-domain", "the name of a domain")
PREDICTED_BY: Final = choice(INTERVENTIONS, "predicted-by", *(name.replace("_", " ") for name in PREDICTING))

STEERED: Final = short_text(STEERING, "steered", _VARIANT_FORM)
STEER: Final = short_text(STEERING, "steer", "a feature such as L2/618")
MODE: Final = choice(STEERING, "mode", "set", "add", "multiply", "ablate", "inhibit", each=True)
VALUES: Final = {mode: number(STEERING, mode, each=True) for mode in ("set", "add", "multiply", "inhibit")}
WHERE: Final = short_text(STEERING, "where", "where a feature is turned", each=True)
POSITIONS: Final = short_text(STEERING, "positions", "a position of the prompt", each=True)
SAMPLES: Final = number(STEERING, "samples")
LENGTH: Final = number(STEERING, "length")
TEMPERATURE: Final = number(STEERING, "temperature")
RECIPE: Final = short_text(STEERING, "recipe", "the name of a recipe")

CHOSEN: Final = choice(LABELS, "chosen", "drawn for me", "by hand")
LABELLED_DOMAIN: Final = short_text(LABELS, "labelled-domain", "the name of a domain")
LABELLED_STATE: Final = short_text(LABELS, "labelled", "how prompts stand")

BEHAVIOUR: Final = short_text(BEHAVIOURS, "behaviour", "the name of a behaviour")
BEHAVIOUR_SPLIT: Final = choice(BEHAVIOURS, "split", "all", *SPLITS)
BEHAVIOUR_OF: Final = short_text(BEHAVIOURS, "behaviours-of", _VARIANT_FORM)
SUCCESS: Final = choice(BEHAVIOURS, "that", "all", "succeed", "do not")
FIND_BEHAVIOUR: Final = short_text(BEHAVIOURS, "find-behaviour", "a short text")

OUTCOME: Final = choice(EVALUATION, "outcome", "harmful", "safe", "neither")
SITUATION: Final = short_text(EVALUATION, "situation", "a situation")
EVALUATED: Final = choice(EVALUATION, "evaluated", "Open questions", "Pivotal prompts", "Steered")
JUDGE: Final = short_text(EVALUATION, "judge", "the name of a judge")
SHARE_OF: Final = choice(EVALUATION, "share-of", *DENOMINATORS)
OPEN_VIEW: Final = short_text(EVALUATION, "open", "a tab of the page")
ANSWERS_OF: Final = short_text(EVALUATION, "answers-of", _VARIANT_FORM)
ASKED: Final = short_text(EVALUATION, "asked", "a question")
FORM: Final = short_text(EVALUATION, "form", "a form of the questions")
KIND: Final = short_text(EVALUATION, "kind", "what answers are")
FIND_ANSWER: Final = short_text(EVALUATION, "find-answer", "a short text")
SHADE: Final = switch(EVALUATION, "shade")
READ_BY: Final = choice(EVALUATION, "read-by", *READERS)
SURFACE_OF: Final = short_text(EVALUATION, "surface-of", _VARIANT_FORM)
ERRORS: Final = choice(EVALUATION, "errors", "measured", "by hand")
FALSELY: Final = number(EVALUATION, "falsely-misaligned")
MISSED: Final = number(EVALUATION, "missed")
BETWEEN: Final = short_text(EVALUATION, "between", "a contrast of answers")
STATISTIC: Final = choice(EVALUATION, "statistic", *STATISTICS)
STEERED_SIDE: Final = choice(EVALUATION, "steered", "added to base", "ablated in the adapted model")
RESCORED: Final = {
    side: {
        "judge": short_text(EVALUATION, f"{side}-judge", "the name of a judge"),
        "below": number(EVALUATION, f"{side}-below"),
        "above": number(EVALUATION, f"{side}-above"),
    }
    for side in ("before", "after")
}

ARTIFACT: Final = short_text(PROVENANCE, "artifact", "the name of an artifact")

SELECTED: Final = (PROFILE, A, B, PROMPT, FEATURE, PINS, ANSWER, BEHAVIOUR_PROMPT, SOURCE, TEXT, DOMAIN)
"""Selected once for every page, kept in the session."""

TYPED_PROMPT: Final = (SOURCE, TEXT, DOMAIN)
"""Of a typed prompt in the selected one's place: that it is, its text, and the domain of its labels."""

PARAMETERS: Final = (
    *SELECTED,
    *(FIND, FOUND_DOMAIN, FOUND_SPLIT, FOUND_ORDER),
    *(VIEW, SHOW, ADAPTERS, NODES, EDGES, SCORED, WRITTEN_ON, WRITE_SCORE),
    *(COMPONENT_MODULE, COMPONENT_VALUE, COMPONENT_SIDE),
    *(SCORE, CONTRAST, RANKED_DOMAIN, LAYER, ORDER, TESTED, CARRIED, CARD, CONTEXTS),
    *(TRIED, TRIED_IN, STILL, TRIED_LAYER, TRIED_DOMAIN, PREDICTED_BY),
    *(STEERED, STEER, MODE, *VALUES.values(), WHERE, POSITIONS, SAMPLES, LENGTH, TEMPERATURE, RECIPE),
    *(CHOSEN, LABELLED_DOMAIN, LABELLED_STATE),
    *(BEHAVIOUR, BEHAVIOUR_SPLIT, BEHAVIOUR_OF, SUCCESS, FIND_BEHAVIOUR),
    *(OUTCOME, SITUATION, EVALUATED, JUDGE, SHARE_OF, OPEN_VIEW),
    *(ANSWERS_OF, ASKED, FORM, KIND, FIND_ANSWER, SHADE, READ_BY),
    *(SURFACE_OF, ERRORS, FALSELY, MISSED, BETWEEN, STATISTIC, STEERED_SIDE),
    *(each for side in RESCORED.values() for each in side.values()),
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
