"""Finding a feature by its number or by its name."""

import streamlit as st

from dashboard.data import names, readers
from dashboard.shell import forms, query, selection
from dashboard.views.features import reading

_PROBLEM = "_find_problem"


def find(name: str) -> None:
    """Choose what the field of a profile's page asks for."""
    text = str(st.session_state.get("find", "")).strip()
    if not text:
        return
    feature = forms.parse_feature(text) or _called(name, text)
    if feature is None:
        st.session_state[_PROBLEM] = (
            f"“{text[:40]}” is no feature, and in no name of one; write layer and index, for instance L2/618."
        )
        return
    selection.choose_feature(*feature)


def problem() -> str | None:
    """What to say of the last search, once."""
    said = st.session_state.pop(_PROBLEM, None)
    return None if said is None else str(said)


def _called(name: str, text: str) -> tuple[int, int] | None:
    """The first feature of the table, as it stands, whose name holds the text."""
    asked = [
        str(st.session_state[widget.name]) for widget in (query.CONTRAST, query.RANKED_DOMAIN, query.SCORE)
    ]
    called = names.called(name, text)
    frame = readers.ranking(name, *asked)
    frame = frame[
        frame["layer"].isin({layer for layer, _ in called}) & frame["index"].isin({i for _, i in called})
    ]
    frame = frame.iloc[reading.places(frame)]
    rows = zip(frame["layer"].tolist(), frame["index"].tolist(), strict=True)
    return next((feature for feature in rows if feature in called), None)
