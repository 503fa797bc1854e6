"""Compare's view of the adapter's LoRA components: what reads, what it adds, and what it points at."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard.charts import components as charts
from dashboard.data import readers
from dashboard.data.case import Case
from dashboard.shell import downloads, query, url
from dashboard.shell.guard import guard
from dashboard.style.node_names import Words
from dashboard.style.text import named, number, percent
from dashboard.views.compare import feature_buttons
from dashboard.views.compare.graph_tab import words_of
from pipeline.analysis.component_effects import (
    Arrays,
    added_frame,
    effects,
    gate_frame,
    match_frame,
    with_largest,
)
from store.documents.variants import BASE
from store.schema.components import COMPONENTS
from store.schema.vocabulary import SIDES, WRITERS

_MODULES: Final = {"MLP (down_proj)": "down_proj", "attention (o_proj)": "o_proj"}
_GATE, _ADDED = "gate", "what it adds"
_SIDES: Final = {"writes like": "decoder", "is read by": "encoder"}


@st.fragment
def show(case: Case) -> None:
    """Draw what the components of the pair's adapted variant do on this prompt, and what they point at."""
    adapted = [variant for variant in reversed(case.pair) if variant != BASE]
    if not adapted:
        st.info(
            "Base has no adapter; choose an adapted variant in the sidebar.", icon=":material/search_off:"
        )
        return
    if case.live:
        st.info(
            "The pipeline reads LoRA components on the prompts that it keeps: keep this prompt and run "
            "`dvc repro`.",
            icon=":material/search_off:",
        )
        return
    with guard("How strongly each LoRA component acts at each token, and which features it points at."):
        arrays = readers.gates(case.profile, case.prompt.hash, adapted[0])
        if not len(arrays["module"]):
            st.info(
                f"The adapter of {adapted[0]} changes neither `o_proj` nor `down_proj`, so it has "
                "no component with a direction of its own.",
                icon=":material/search_off:",
            )
            return
        words = words_of(case)
        _tokens(case, arrays, words)
        _matches(case, arrays, adapted[0], words)
    url.write()


def _tokens(case: Case, arrays: Arrays, words: Words) -> None:
    present = set(arrays["module"].tolist())
    modules = [words for words, name in _MODULES.items() if WRITERS.index(name) in present]
    st.markdown(
        "**By layer and token**",
        help="Component i of LoRA on a module adds b_i (A_i . h) to what the module gives, h being what the "
        "module reads in the adapted model. Modules that write to the residual stream have components with a "
        "direction of their own: o_proj and down_proj.",
    )
    left, right = st.columns(2, gap="medium")
    module = left.segmented_control(
        "Module",
        modules,
        default=modules[0],
        required=True,
        **query.COMPONENT_MODULE.bound(),
        help="Which of the adapter's modules is shown, by layer.",
    )
    what = right.segmented_control(
        "Shows",
        [_GATE, _ADDED],
        default=_GATE,
        required=True,
        **query.COMPONENT_VALUE.bound(),
        help="gate: A_i . h, signed, of the component that reads the token most clearly (largest |cosine|). "
        "what it adds: the norm of what all components of the module add to the residual stream.",
    )
    name = _MODULES[str(module)]
    if what == _GATE:
        frame, value, title = gate_frame(arrays, name), "gate", "gate A · h"
        told = {
            "component": "component",
            "cosine": "cosine of A with what is read",
            "p": "chance that random rows of A read it so well",
        }
    else:
        frame, value, title = added_frame(arrays, name), "added", "norm of what it adds"
        told = {"random": "the same with random rows of A (root mean square)", "ratio": "times that"}
    frame = frame.assign(token=[words.at(position) for position in frame["position"]])
    downloads.chart(
        charts.tokens(frame, value=value, title=title, told=told),
        frame,
        f"components-{case.prompt.hash}",
        key="component-tokens",
        alt=f"{title} of the adapter's {name}, by layer and token",
    )
    st.caption(
        "Random rows of A have the same norms. Colours end with the largest value behind the first token, on "
        "which attention rests."
    )


def _matches(case: Case, arrays: Arrays, variant: str, words: Words) -> None:
    level = float(readers.provenance(case.profile, COMPONENTS.kind)["parameters"]["components"]["level"])
    components, matches = (
        readers.dataset(case.profile, COMPONENTS.kind, group) for group in ("components", "matches")
    )
    whole = match_frame(components, matches, variant)
    st.markdown(
        "**What the components point at**",
        help="By weights alone: the cosine of b, a component's column of B, with rows of the transcoders. "
        "writes like: decoder rows of the module's layer. is read by: encoder rows of the layers reached, "
        "times the gain of the norm before them. In Gemma 2 rows are also times the gain of the norm behind "
        "the module, so that 1 means: nothing of this norm does more along the row.",
    )
    side = st.segmented_control(
        "Side",
        list(_SIDES),
        default="writes like",
        required=True,
        **query.COMPONENT_SIDE.bound(),
        label_visibility="collapsed",
    )
    tested = whole[whole["rank"] == 0]
    found = int((tested["q"] <= level).sum())
    st.caption(
        f"{found} of {len(tested)} tests found at a false discovery rate of {percent(level)}. A test is a "
        "component and a dictionary; random directions of the same norm are what a match is held against. "
        "A trained component lies where activations do, and so do features: compare with random adapters."
    )
    frame = whole[whole["side"] == _SIDES[str(side)]].reset_index(drop=True)
    if frame.empty:
        st.caption("None on this side: no transcoder stands behind the adapter's modules.")
        return
    _table(case, _in_words(with_largest(frame, effects(arrays, frame)), words, level))


def _in_words(frame: pd.DataFrame, words: Words, level: float) -> pd.DataFrame:
    """With the feature's name, the component's, the token of the largest effect, and what is found."""
    features = zip(frame["layer"], frame["index"], strict=True)
    frame.insert(0, "feature", [named(words.names, feature) for feature in features])
    origin = zip(frame["module"], frame["origin_layer"], frame["component"], strict=True)
    frame.insert(1, "from", [f"{module} L{layer} #{component}" for module, layer, component in origin])
    at = [words.at(position) if position >= 0 else "" for position in frame["position"]]
    return frame.assign(token=at, found=(frame["q"] <= level).to_numpy())


def _table(case: Case, frame: pd.DataFrame) -> None:
    reads = frame["side"].iloc[0] != SIDES[0]
    shown = ["feature", "from", "cosine", "null_cosine", "p", "q", "found"]
    chosen = st.dataframe(
        frame,
        hide_index=True,
        height=322,
        key="component-table",
        on_select="rerun",
        selection_mode="single-row",
        column_order=[*shown, *(["effect", "token"] if reads else []), "norm"],
        column_config={
            "feature": st.column_config.TextColumn("feature", help="Layer and index, and its name."),
            "from": st.column_config.TextColumn(
                "component", help="Module, layer and number of the component."
            ),
            "cosine": st.column_config.NumberColumn(
                "cosine", format="%+.3g", help="Of the component with the feature's row, signed."
            ),
            "null_cosine": st.column_config.NumberColumn(
                "random reach",
                format="%.3g",
                help="The closest row of this dictionary to a random direction lies beyond it, by |cosine|, "
                "with a chance of `components.level` of params.yaml, at most.",
            ),
            "p": st.column_config.NumberColumn(
                "p",
                format="%.2e",
                help="Chance, at most, that some row of this dictionary is as close to a random direction: "
                "exact for one row, times the number of rows.",
            ),
            "q": st.column_config.NumberColumn(
                "q",
                format="%.2e",
                help="False discovery rate (Benjamini-Hochberg of p, against random directions) over the "
                "variant's components and dictionaries; only the closest row of each is tested.",
            ),
            "found": st.column_config.CheckboxColumn("found", help="q is at most `components.level`."),
            "effect": st.column_config.NumberColumn(
                "largest effect",
                format="%+.3g",
                help="On the feature's pre-activation, along the residual stream at one position with "
                "the norms' scales as they are: gate times b times the row. The largest over this prompt's "
                "tokens. A random direction of b's norm has one as large with the chance of its cosine.",
            ),
            "token": st.column_config.TextColumn("at", help="The token where the effect is largest."),
            "norm": st.column_config.NumberColumn(
                "|b|", format="%.3g", help="Norm of the column of B, times scaling and the variant's scale."
            ),
        },
    )
    rows = chosen.selection.rows
    row = frame.iloc[rows[0] if rows and rows[0] < len(frame) else 0]
    st.caption(
        f"{row['feature']}: cosine {number(float(row['cosine']), sign=True)} with {row['from']}; "
        f"random directions rarely come closer than {number(float(row['null_cosine']))}."
    )
    feature_buttons.show(case, row, frame, key="component", file="component-matches")
