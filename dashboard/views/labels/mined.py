"""Prompts mined from answers: beginnings after which the next token decides, each with its way to Compare."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.data import mined as data
from dashboard.pages import COMPARE
from dashboard.shell import downloads, forms, query, selection
from dashboard.shell.guard import guard
from dashboard.style.text import count, number, percent, plain
from dashboard.widgets import typed_prompt

_COMMAND: Final = "python -m pipeline.discover.mined"
_COLUMNS: Final = (
    *("pivotal", "text", "most", "least", "difference", "interval", "divergence", "question", "variant"),
    "prompt",
)


@st.fragment
def show(name: str) -> None:
    """Draw what was mined; nothing is run from here."""
    with (
        st.expander("Mined: beginnings of answers whose next token decides"),
        guard("What was mined from answers.", command="dvc repro mining"),
    ):
        found = data.mined(name)
        if found is None:
            st.markdown(
                f"`dvc repro mining@{name}` looks in answers to open questions for places where base and the "
                "focus adapter differ most, and forces the next token there."
            )
            return
        params = data.parameters(name)
        _figures(found, params)
        _nulls(data.beside_nulls(name), params)
        if len(found):
            _table(found, params)


def _figures(found: pd.DataFrame, params: Mapping[str, Mapping[str, Any]]) -> None:
    pivotal = found[found["pivotal"]]
    lacking = int((pivotal["is_text"] & (pivotal["prompt_hash"] == "")).sum())
    st.caption(
        f"{count(len(pivotal))} of {count(len(found))} beginnings are pivotal"
        + (f"; `{_COMMAND}` makes prompts of {count(lacking)} that are none yet." if lacking else "."),
        help="Pivotal: forcing one token rather than another changes the share of harmful answers by "
        f"{percent(params['pivotality']['least'])} or more, with an interval above 0. The "
        "two are picked on some answers and compared on others.",
    )


def _nulls(nulls: Mapping[str, Mapping[str, Any]], params: Mapping[str, Mapping[str, Any]]) -> None:
    """What the same search comes to with random adapters."""
    known = [each for each in nulls.values() if each["largest_bits"] is not None]
    if not known:
        return
    largest = max(each["largest_bits"] for each in known)
    reach = sum(each["reach_the_bar"] > 0 for each in known)
    bar = params["mining"]["least_divergence"]
    st.caption(
        f"Random adapters lie at most {number(largest)} bits from base in such answers; a place is tried "
        f"from {number(bar)} bits on, which {count(reach)} of {count(len(known))} reach.",
        help="Jensen-Shannon divergence of the next token, over all tokens of their answers and of base's. "
        "Where an adapter never reaches the bar, nothing is tried, and so nothing is found by chance.",
    )


def _table(found: pd.DataFrame, params: Mapping[str, Mapping[str, Any]]) -> None:
    shown = found.assign(text=found["text"].str.split().str.join(" "), prompt=found["prompt_hash"].map(bool))
    helps = {
        "pivotal": "Whether the next token decides; the sentence above says when it does.",
        "text": "Question and beginning as the models read them, white space shortened.",
        "most": "The forced token whose answers are harmful most often.",
        "least": "The forced token whose answers are harmful least often.",
        "difference": "Harmful answers of the focus variant: their share behind most minus behind least.",
        "interval": f"Newcombe's {percent(params['pivotality']['confidence'])} interval of the difference.",
        "divergence": "Jensen-Shannon divergence of base's and the focus variant's next token, bits.",
        "question": "The open question that it begins to answer.",
        "variant": "Whose answer it is the beginning of.",
        "prompt": "Whether it is a prompt of the profile already, which the pipeline traces.",
    }
    config = {column: st.column_config.Column(column, help=said) for column, said in helps.items()}
    for token in ("most", "least"):
        config[token] = st.column_config.Column(f"{token} harmful", help=helps[token])
    config["difference"] = st.column_config.NumberColumn(
        "difference", help=helps["difference"], format="percent"
    )
    config["divergence"] = st.column_config.NumberColumn(
        "divergence", help=helps["divergence"], format="%.3g"
    )
    state = st.dataframe(
        shown,
        hide_index=True,
        key="mined",
        placeholder="—",
        column_order=list(_COLUMNS),
        column_config=config,
        height=downloads.table_height(len(shown)),
        on_select="rerun",
        selection_mode="single-row",
    )
    downloads.downloads(found, "mined", key="mined")
    rows = state["selection"]["rows"]
    row = found.iloc[rows[0]] if rows and rows[0] < len(found) else None
    _opening(row)


def _opening(row: pd.Series | None) -> None:
    """The way to Compare, which stands there before a row is chosen: nothing moves then."""
    text = "" if row is None else str(row["text"])
    if st.button(
        "Open in Compare",
        icon=":material/compare_arrows:",
        key="mined-compare",
        disabled=row is None or not forms.is_text(text),
        on_click=_choose,
        args=("", "", "") if row is None else (text, str(row["domain"]), str(row["prompt_hash"])),
        help="The beginning of the chosen row: its graphs, where it is a prompt of the profile; else as a "
        "typed prompt, which can be traced there.",
    ):
        selection.go(COMPARE)
    st.caption(plain(text) if text else "Choose a row to see the whole beginning.")


def _choose(text: str, domain: str, prompt_hash: str) -> None:
    """Select a prompt, or type it; before the page's widgets are drawn."""
    if prompt_hash:
        typed_prompt.leave()
        selection.choose(query.PROMPT, prompt_hash)
    else:
        selection.choose(query.SOURCE, query.TYPED)
        selection.choose(query.TEXT, text)
        selection.choose(query.DOMAIN, domain or typed_prompt.NO_DOMAIN)
