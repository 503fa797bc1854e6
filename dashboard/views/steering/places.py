"""Where a feature is turned: widgets that give places of a prompt."""

from collections.abc import Sequence
from typing import Final, Literal

import streamlit as st

from dashboard.shell import forms, query, url
from dashboard.style.text import plain, shorten, visible
from pipeline.interventions.kinds import Where

WHERE: Final[dict[str, Where | Literal["positions", "range"]]] = {
    "last token": "last",
    "range": "range",
    "chosen positions": "positions",
    "all tokens": "prompt",
    "generated": "generated",
    "always on": "always",
}


def choose_place(label: str, tokens: list[str]) -> Where | None:
    """Draw a feature's place; None, said in a sentence, where that is no place of this prompt.

    Parameters
    ----------
    label
        The feature, ``L2/618``.
    tokens
        Of the prompt.
    """
    where = st.segmented_control(
        "Where",
        list(WHERE),
        default="last token",
        required=True,
        **query.WHERE.bound(label),
        help="last token of the prompt; a range of positions; chosen positions; all prompt tokens but BOS; "
        "generated: every token after the prompt; or always on: both.",
        label_visibility="collapsed",
    )
    place = WHERE[str(where)]
    if place == "range":
        return _choose_range(label, tokens)
    if place != "positions":
        return place
    positions = _choose_positions(label, tokens)
    if not positions:
        _not_turned(f"No position is chosen for {label}, so it is not turned. Choose one above.")
        return None
    return tuple(positions)


def _choose_range(label: str, tokens: list[str]) -> tuple[int, ...] | None:
    last = len(tokens) - 1
    text = st.text_input(
        "First and last position",
        value=f"{min(1, last)}-{last}",
        max_chars=11,
        **query.RANGE.bound(label),
        help=f"Positions of the prompt, 0-based, both ends among them; BOS is 0, the last token {last}.",
    )
    asked = forms.parse_range(text)
    if asked is None:
        _not_turned(
            f"“{shorten(text, 20)}” is no range for {label}, so it is not turned; write one such as 2-5."
        )
        return None
    if asked[-1] > last:
        _not_turned(
            f"The range {asked[0]}-{asked[-1]} of {label} reaches beyond this prompt, whose last position is "
            f"{last}, so it is not turned."
        )
        return None
    return tuple(asked)


def _not_turned(words: str) -> None:
    st.warning(plain(words), icon=":material/warning:")


def position_names(tokens: Sequence[str]) -> list[str]:
    """Positions of a prompt as lists and links have them."""
    return [f"{position} {visible(token)}" for position, token in enumerate(tokens)]


def _choose_positions(label: str, tokens: list[str]) -> list[int]:
    """Positions of the prompt at which a feature is turned; another prompt keeps those it has."""
    key = query.POSITIONS.key(label)
    names = position_names(tokens)
    if key not in st.session_state:
        absent = [name for name in url.given_all(key) if name not in ["", *names]]
    else:
        absent = []
        if st.session_state.get(f"_{key}") != names:
            # The browser still shows the other prompt's: what is set here replaces it.
            kept = [int(position) for position in st.session_state[key]]
            absent = [str(position) for position in kept if position >= len(tokens)]
            st.session_state[key] = [position for position in kept if position < len(tokens)]
    st.session_state[f"_{key}"] = names
    if absent:
        st.warning(
            plain(f"Position “{shorten(absent[0], 30)}” is not in this prompt; it was left out."),
            icon=":material/link_off:",
        )
    chosen = st.multiselect(
        "Positions",
        list(range(len(tokens))),
        default=[len(tokens) - 1],
        format_func=names.__getitem__,
        **query.POSITIONS.bound(label),
        help="Positions of the prompt, 0-based; BOS is 0.",
    )
    return sorted(int(position) for position in chosen)
