"""Which prompts are behind a circuit? A list, and the graph of the chosen one."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard.charts import circuits as charts
from dashboard.data import circuits
from dashboard.data.partnered import ALL, Place
from dashboard.shell import downloads, query, selection, url
from dashboard.shell.guard import guard
from dashboard.style.text import count, named, number, plain, visible
from dashboard.views.behaviours import filters
from dashboard.widgets import row_table

Called = Mapping[tuple[int, int], str]

DRAWN: Final = 12
"""Features of a graph a layer, the first by |total effect|."""
LINES: Final = 300
"""Edges that are looked at, the strongest among these features."""
_HEIGHT: Final = 388


def _logits(title: str, words: str) -> Any:
    return st.column_config.NumberColumn(title, format="%.3g", width=78, help=words)


_COLUMNS: Final = {
    "split": st.column_config.TextColumn("split", help="train: the circuit is found on it; test.", width=54),
    "group": st.column_config.TextColumn(
        "group", help="Noun, subject, reason or pair of operands.", width=110
    ),
    "prompt": st.column_config.TextColumn("prompt", help="Where the answer begins."),
    "correct_answer": st.column_config.TextColumn("right", help="Spaces are marked.", width=90),
    "incorrect_answer": st.column_config.TextColumn("wrong", help="Spaces are marked.", width=90),
    "contrast": _logits(
        "decision", "Logit of the right answer's token minus the wrong one's where they first differ."
    ),
    "decisive": _logits("decisive", "Total effect on it of the tokens that decide, logits."),
    "attractor": _logits("misleading", "Total effect on it of tokens that could mislead; none: no such."),
    "base_right": st.column_config.CheckboxColumn(
        "base right", width=70, help="Base has a decision above 0."
    ),
}


def show(
    name: str, variant: str, behaviour: str, split: str, place: Place, circuit: pd.DataFrame, called: Called
) -> None:
    """Draw the list, and the graph of the chosen prompt where the list has it.

    Parameters
    ----------
    name, variant, behaviour
        Profile, and whose circuit.
    split, place
        Which prompts, and which features of the chosen one.
    circuit
        The circuit's features, with their supernodes and frequencies.
    called
        Names of features.
    """
    filters.heading("prompts", "Prompts", "Those whose graphs were traced: the circuit's, and test prompts.")
    known = circuits.prompts(name, variant, behaviour)
    found = known if split == ALL else known[known["split"] == split].reset_index(drop=True)
    shown = found.assign(
        **{side: found[side].map(visible) for side in ("correct_answer", "incorrect_answer")}
    )

    def choose(row: pd.Series) -> None:
        selection.choose(query.BEHAVIOUR_PROMPT, str(row["hash"]))
        url.write()

    row_table.show(
        shown,
        # Another filter is another table: a selected row number would mean another prompt.
        key="-".join(["circuit-prompts", variant, behaviour, split]),
        height=min(_HEIGHT, downloads.table_height(len(shown))),
        choose=choose,
        order=list(_COLUMNS),
        columns=_COLUMNS,
    )
    st.caption(
        f"{count(len(found))} of {count(len(known))} prompts{_base_words(found['base_right'])}. A row's box "
        "shows the prompt's own graph."
    )
    downloads.downloads(found, f"circuit-prompts-{behaviour}", key="circuit-prompts")
    chosen = found[found["hash"] == selection.get(query.BEHAVIOUR_PROMPT)]
    if len(chosen):
        with st.container(border=True), guard("What features do on one prompt."):
            _graph(name, variant, chosen.iloc[0], place, circuit, called)


def _base_words(right: pd.Series) -> str:
    """How many of them base gets right, of those that it was traced on; empty: of none."""
    told = right.dropna().astype(bool)
    if told.empty:
        return ""
    of = "these" if len(told) == len(right) else f"the {count(len(told))} that it was traced on"
    return f"; base gets {count(int(told.sum()))} of {of} right"


def _graph(
    name: str, variant: str, prompt: pd.Series, place: Place, circuit: pd.DataFrame, called: Called
) -> None:
    """The prompt's own graph, drawn as the circuit is."""
    filters.heading(
        "prompt",
        plain(f"{prompt['prompt']} →{prompt['correct_answer']}"),
        "Features active on this prompt with their total effects on its decision, and edges among them, "
        "summed over positions.",
    )
    features, edges = circuits.of_prompt(name, variant, str(prompt["hash"]))
    ends = zip(features["layer"].tolist(), features["index"].tolist(), strict=True)
    of_circuit = circuit[["layer", "index", "supernode", "frequency"]]
    features = features.assign(called=[named(called, each) for each in ends]).merge(
        of_circuit, on=["layer", "index"], how="left"
    )
    inside = int(features["supernode"].notna().sum())
    features["supernode"] = features["supernode"].fillna(0).astype(int)
    everything = len(features)
    features = filters.of_circuit(features, place)
    st.caption(
        plain(
            f"{prompt['split']}, {prompt['group']}: decision {number(prompt['contrast'], sign=True)} logits. "
            f"{count(everything)} features are active, {count(inside)} of them in the circuit; "
            f"{count(len(features))} are left by the filters, of each layer the first {DRAWN} are drawn."
        )
    )
    if features.empty:
        return
    drawn = features.groupby("layer").head(DRAWN)
    lines = filters.among(edges, drawn).head(LINES).assign(frequency=float("nan"))
    downloads.chart(
        charts.graph(drawn, lines),
        features,
        f"circuit-prompt-{prompt['hash']}",
        key="circuit-prompt",
        alt=f"{count(len(drawn))} features by layer on one prompt, coloured by which answer they are for",
    )
