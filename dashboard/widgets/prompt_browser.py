"""The prompt browser: find the prompts on which two variants differ, and go to one."""

from typing import Any, Final

import streamlit as st

from dashboard.data.prompt_table import ORDERS, SPLITS, chosen, prompt_table
from dashboard.pages import COMPARE
from dashboard.shell import query, selection
from dashboard.shell.guard import guard
from dashboard.shell.parameter import Parameter
from dashboard.style.text import count, plain
from dashboard.widgets import row_table, typed_prompt

_ANY: Final = "any domain"
_HEIGHT: Final = 320


def show(profile: str, pair: tuple[str, str]) -> None:
    """Draw the browser with its filters in the URL; a row leads to Compare."""
    bound = {
        parameter: parameter.bound()
        for parameter in (query.FIND, query.FOUND_DOMAIN, query.FOUND_SPLIT, query.FOUND_ORDER)
    }
    if (prompt := _browser(profile, pair, bound)) is not None:
        _choose(prompt)
        selection.go(COMPARE)


@st.dialog("Prompts", width="large")
def dialog(profile: str, pair: tuple[str, str]) -> None:
    """The same over any page, which then shows the chosen prompt."""
    bound = {
        parameter: {"key": f"dialog-{parameter.name}"}
        for parameter in (query.FIND, query.FOUND_DOMAIN, query.FOUND_SPLIT, query.FOUND_ORDER)
    }
    with guard("Every prompt with what both variants do on it."):
        if (prompt := _browser(profile, pair, bound)) is not None:
            _choose(prompt)
            st.rerun()


def _choose(prompt: str) -> None:
    selection.choose(query.PROMPT, prompt)
    typed_prompt.leave()


def _browser(profile: str, pair: tuple[str, str], bound: dict[Parameter, Any]) -> str | None:
    """Filters and table; the prompt that was clicked, if any."""
    table = prompt_table(profile, pair)
    columns = st.columns([2, 1.2, 1.6, 1.2], vertical_alignment="bottom")
    text = columns[0].text_input(
        "Find",
        placeholder="words of the prompt, its situation, a candidate",
        **bound[query.FIND],
        help="Every word must be in the prompt, its situation, its hash or a top candidate.",
    )
    domains = [_ANY, *sorted(set(table["domain"]) - {""})]
    domain = columns[1].selectbox(
        "Domain",
        domains,
        **bound[query.FOUND_DOMAIN],
        help="What the prompts are of; it selects the lexicon.",
    )
    split = columns[2].segmented_control(
        "Situations",
        SPLITS,
        default=SPLITS[0],
        required=True,
        **bound[query.FOUND_SPLIT],
        help="Held out: base, transcoders and adapters were not trained on the situation; the organism's are "
        "new combinations of topics and circumstances that they have seen.",
    )
    order = columns[3].selectbox(
        "Order",
        list(ORDERS),
        **bound[query.FOUND_ORDER],
        help="By domain, those traced with both variants first; else the largest number first.",
    )
    found = chosen(
        table,
        text=str(text or ""),
        domain=None if domain == _ANY else str(domain),
        split=str(split or SPLITS[0]),
        order=str(order),
        pair=pair,
    )
    picked = _table(found.head(row_table.MOST), pair, key=f"prompts-{bound[query.FIND]['key']}")
    whole = found["divergence"].notna().sum()
    cut = f"Listed are the first {count(row_table.MOST)}; a word in Find, or another order, brings others. "
    said = (
        f"{count(len(found))} of {count(len(table))} prompts, {count(whole)} of them traced with "
        f"{pair[0]} and {pair[1]}. Click a row's box to see its prompt."
    )
    st.caption(plain((cut if len(found) > row_table.MOST else "") + said))
    return picked


def _table(found: Any, pair: tuple[str, str], *, key: str) -> str | None:
    left, right = pair
    shown = found[
        [
            "situation",
            "domain",
            "held_out",
            "evil_a",
            "evil_b",
            "divergence",
            "top_a",
            "top_b",
            "variants",
            "text",
        ]
    ]
    state = st.dataframe(
        shown,
        hide_index=True,
        key=key,
        height=_HEIGHT,
        placeholder="—",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "situation": st.column_config.TextColumn("situation", help="What the prompt is about."),
            "domain": st.column_config.TextColumn("domain", help="It selects the lexicon of token labels."),
            "held_out": st.column_config.CheckboxColumn(
                "held out", help="Whether the situation was held out from all training."
            ),
            "evil_a": st.column_config.ProgressColumn(
                f"evil, {left}",
                help=f"Probability of evil next tokens in {left}, among the traced targets; — without labels "
                "or trace.",
                format="%.3f",
                min_value=0.0,
                max_value=1.0,
            ),
            "evil_b": st.column_config.ProgressColumn(
                f"evil, {right}", help=f"The same in {right}.", format="%.3f", min_value=0.0, max_value=1.0
            ),
            "divergence": st.column_config.NumberColumn(
                "divergence",
                format="%.3f",
                help="Total variation distance of both next-token distributions over the traced targets, all "
                "other tokens taken as one: at most the distance of the whole distributions.",
            ),
            "top_a": st.column_config.TextColumn(f"top, {left}", help=f"Most probable next token in {left}."),
            "top_b": st.column_config.TextColumn(
                f"top, {right}", help=f"Most probable next token in {right}."
            ),
            "variants": st.column_config.ListColumn(
                "traced with", help="Variants that the prompt was traced with."
            ),
            "text": st.column_config.TextColumn("text", help="The prompt, white space shortened."),
        },
    )
    rows = state["selection"]["rows"]
    return str(found.index[rows[0]]) if rows and rows[0] < len(found) else None
