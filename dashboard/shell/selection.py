"""What is selected: chosen once, kept from page to page, shared by its URL.

The URL is untrusted: every value is checked for its form here and for its existence by
whoever offers the choice. A value that fails is reported in words and dropped.
"""

import re
from collections.abc import Mapping
from typing import Final, NoReturn
from urllib.parse import urlencode

import streamlit as st

from dashboard.pages import Page
from dashboard.style.text import shorten
from store.base.hashing import is_prompt_hash

SOURCE: Final = "source"
TEXT: Final = "typed-text"
DOMAIN: Final = "typed-domain"
TYPED_KEYS: Final = (SOURCE, TEXT, DOMAIN)
"""A typed prompt in the selected one's place: that it is, its text, and the domain of its labels."""

TYPED: Final = "typed prompt"
"""Value of `SOURCE` while a prompt is typed; it has none else."""

URL_KEYS: Final = ("profile", "a", "b", "prompt", "feature", "pins", *TYPED_KEYS)
"""Parameters of the URL that this module keeps; widgets of a page bind their own."""

MAX_TEXT: Final = 20_000
MAX_NAME: Final = 100
MAX_PINS: Final = 24
_PROFILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VARIANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}(@-?[0-9][0-9.e+-]{0,15})?")
_FEATURE: Final = re.compile(r"L(\d{1,3})/(\d{1,7})", re.IGNORECASE)
_PIN: Final = re.compile(
    r"(F\d{1,3}\.\d{1,7}|E\d{1,3}|T\d{1,7}|O\d{1,7}|A\d{1,3}\.(down|hidden|attention)(\.\d{1,5})?)\.\d{1,5}"
)

_FORMS: Final = {
    "profile": "the name of a profile",
    "a": "a variant such as base or general@1.0",
    "b": "a variant such as base or general@1.0",
    "prompt": "a prompt hash (12 hex digits)",
    "feature": "a feature such as L2/618",
    "pins": "a list of graph nodes",
    SOURCE: f"“{TYPED}”",
    TEXT: f"a text of at most {MAX_TEXT:,} characters",
    DOMAIN: "the name of a domain",
}


def parse_feature(text: str) -> tuple[int, int] | None:
    """Layer and index of ``L2/618`` (both 0-based), or None if it is not of that form."""
    match = _FEATURE.fullmatch(text.strip())
    return (int(match[1]), int(match[2])) if match else None


def parse_pins(text: str) -> tuple[str, ...] | None:
    """Node ids of a comma-separated list, or None if one is malformed or there are too many.

    ``F2.618.7`` is feature L2/618 at position 7; ``E2.7`` an error node, ``T41.7`` the
    token with id 41, ``O532.9`` the logit of token 532, ``A2.down.0.7`` component 0 of the
    adapter on layer 2's ``down_proj``, ``A2.hidden.7`` one without components.
    """
    pins = tuple(part for part in text.split(",") if part)
    if len(pins) > MAX_PINS or any(_PIN.fullmatch(pin) is None for pin in pins):
        return None
    return pins


def well_formed(key: str, value: str) -> bool:
    """Whether a value of the URL has the form that its parameter asks for."""
    match key:
        case "profile":
            return _PROFILE.fullmatch(value) is not None
        case "a" | "b":
            return _VARIANT.fullmatch(value) is not None
        case "prompt":
            return is_prompt_hash(value)
        case "feature":
            return parse_feature(value) is not None
        case "pins":
            return parse_pins(value) is not None
        case "source":
            return value == TYPED
        case "typed-text":
            return len(value) <= MAX_TEXT
        case "typed-domain":
            return len(value) <= MAX_NAME and value.isprintable()
    return False


def check_url(values: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Well-formed values of the URL, and one sentence for each that is not."""
    good: dict[str, str] = {}
    problems: list[str] = []
    for key in URL_KEYS:
        value = values.get(key)
        if value is None or value == "":
            continue
        if well_formed(key, value):
            good[key] = value
        else:
            problems.append(f"The link's {key} “{shorten(value, 40)}” is not {_FORMS[key]}; it was left out.")
    return good, problems


def read_url() -> list[str]:
    """Take over what the URL says, where it changed since it was written; return problems.

    A parameter that is absent leaves the session's choice alone: navigation between pages
    empties the URL, and `write_url` fills it again.
    """
    raw = {key: st.query_params[key] for key in URL_KEYS if key in st.query_params}
    written: dict[str, str] = st.session_state.setdefault("_url", {})
    changed = {key: value for key, value in raw.items() if written.get(key) != value}
    good, problems = check_url(changed)
    for key, value in good.items():
        st.session_state[key] = value
    for key in changed.keys() - good.keys():
        del st.query_params[key]
    written.update(good)
    return problems


def write_url() -> None:
    """Make the URL say what is selected, in one step: every message to the browser is an address."""
    written = _selection()
    changed = {key: value for key, value in written.items() if st.query_params.get(key) != value}
    if changed:
        st.query_params.update(changed)
    for key in URL_KEYS:
        if key not in written and key in st.query_params:
            del st.query_params[key]
    st.session_state["_url"] = written


def _selection() -> dict[str, str]:
    """What the URL says: everything selected, and what is typed where it is looked at."""
    kept = URL_KEYS if get(SOURCE) else tuple(key for key in URL_KEYS if key not in TYPED_KEYS)
    return {key: value for key in kept if (value := get(key))}


def go(page: Page) -> NoReturn:
    """Turn to another page, with everything selected in its address.

    Left to itself, `st.switch_page` clears the address, and refuses to where a widget is bound to it.
    """
    st.switch_page(page.script, query_params=_selection())


def one_address_a_page() -> None:
    """Make Back lead to the page before, not through every value this page's address has had.

    Streamlit adds a history entry whenever the script sets a query parameter, and one more for
    the bare address of a page that is navigated to; where a widget bound to the URL changes,
    it replaces the entry. Here the script's changes replace it as well.
    """
    st.html(
        """<script>
        if (!window.oneAddressAPage) {
          window.oneAddressAPage = true;
          const push = history.pushState.bind(history);
          history.pushState = (state, title, url) => {
            const there = new URL(url ?? location.href, location.href);
            if (there.pathname === location.pathname) history.replaceState(state, title, url);
            else push(state, title, url);
          };
        }
        </script>""",
        unsafe_allow_javascript=True,
    )


def get(key: str) -> str | None:
    """A selected value, None where nothing is selected."""
    value = st.session_state.get(key)
    return str(value) if value else None


def feature() -> tuple[int, int] | None:
    """The selected feature as (layer, index)."""
    value = get("feature")
    return parse_feature(value) if value else None


def choose_feature(layer: int, index: int) -> None:
    """Select a feature on every page."""
    st.session_state["feature"] = f"L{layer}/{index}"


def pins() -> tuple[str, ...]:
    """Node ids pinned in the graph."""
    value = get("pins")
    return (parse_pins(value) or ()) if value else ()


def choose_pins(nodes: list[str]) -> None:
    """Pin these nodes; ill-formed ids are dropped, the newest `MAX_PINS` are kept."""
    good = [node for node in dict.fromkeys(nodes) if _PIN.fullmatch(node)]
    st.session_state["pins"] = ",".join(good[-MAX_PINS:])


def forget() -> None:
    """Drop what belongs to one profile: variants, prompt, feature and pins."""
    for key in ("a", "b", "prompt", "feature", "pins"):
        st.session_state.pop(key, None)
        if key in st.query_params:
            del st.query_params[key]


def link(address: str) -> str:
    """Address of the current view for a colleague, with everything selected."""
    bare = address.split("?", 1)[0]
    values = {key: st.query_params.get_all(key) for key in st.query_params}
    values |= {key: [value] for key, value in _selection().items()}
    return f"{bare}?{urlencode(values, doseq=True)}" if values else bare
