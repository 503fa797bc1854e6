"""Every prompt with what two variants do on it: the table that the prompt browser shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.data import documents, readers
from dashboard.data.project import artifact, fresh, stamp
from pipeline.analysis.divergence import total_variation_of_targets
from pipeline.analysis.evil_safe import label_mass, target_labels
from pipeline.text.token_labels import TokenLabels
from store.base.errors import StoreError
from store.collections.reader import open_collection
from store.documents.token_texts import token_text

_READ: Final = ("target_token", "target_probability")

ORDERS: Final = {
    "domain": ("domain", True),
    "divergence": ("divergence", False),
    "evil in B": ("evil_b", False),
    "evil, B minus A": ("evil_change", False),
    "evil in A": ("evil_a", False),
}
"""Orders of the table by what a person chooses: a column, and whether it ascends."""

SPLITS: Final = ("all prompts", "held out", "seen")


def prompt_table(profile: str, pair: tuple[str, str]) -> pd.DataFrame:
    """One row a prompt.

    Parameters
    ----------
    profile, pair
        Variants A and B of a profile.

    Returns
    -------
    pd.DataFrame
        Index prompt_hash; columns text, situation, domain, held_out, variants (traced, a list),
        evil_a, evil_b (probability of evil tokens among the targets), evil_change,
        divergence (`total_variation_of_targets`), top_a, top_b (most probable target's text).
        Numbers are NaN and texts empty where a variant was not traced; evil ones also without
        labels.
    """
    words = "-".join(stamp(artifact(profile, name)) for name in ("prompts.json", "lexicon.json"))
    try:
        return fresh(
            artifact(profile, "graphs"), lambda path, key: _table(path, f"{key}-{words}", profile, pair)
        )
    except StoreError:
        return _frame(profile, pair, {})


@st.cache_resource(max_entries=8, show_spinner="Reading what variants do on every prompt")
def _table(path: str, key: str, profile: str, pair: tuple[str, str]) -> pd.DataFrame:
    graphs = open_collection(Path(path))
    known: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for who, (token, probability) in graphs.each(_READ):
        if who.variant in pair:
            known[who.prompt_hash, who.variant] = (token, probability)
    return _frame(profile, pair, known)


def _frame(
    profile: str, pair: tuple[str, str], known: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]
) -> pd.DataFrame:
    try:
        vocabulary = documents.vocabulary(profile)
    except StoreError:
        vocabulary = []
    rows, traced, labelled = [], _traced(profile), _labels(profile)
    for prompt in documents.prompts(profile).values():
        row: dict[str, object] = {
            "prompt_hash": prompt.hash,
            "text": " ".join(prompt.text.split()),
            "situation": prompt.situation if prompt.situation != prompt.hash else prompt.name,
            "domain": prompt.domain or "",
            "held_out": prompt.held_out,
            "variants": list(traced.get(prompt.hash, ())),
        }
        labels = labelled.of(prompt.hash, prompt.domain)
        sides = [known.get((prompt.hash, variant)) for variant in pair]
        for name, side in zip("ab", sides, strict=True):
            row |= {f"evil_{name}": np.nan, f"top_{name}": ""}
            if side is not None:
                tokens, probability = side
                row[f"top_{name}"] = token_text(vocabulary, int(tokens[probability.argmax()]))
                if labels:
                    row[f"evil_{name}"] = label_mass(probability, target_labels(tokens, labels), "evil")
        left, right = sides
        row["divergence"] = np.nan
        if left is not None and right is not None and np.array_equal(left[0], right[0]):
            row["divergence"] = total_variation_of_targets(left[1], right[1])
        rows.append(row)
    columns = ["text", "situation", "domain", "held_out", "variants", "evil_a", "evil_b", "top_a", "top_b"]
    frame = pd.DataFrame(rows, columns=["prompt_hash", *columns, "divergence"]).set_index("prompt_hash")
    return frame.assign(evil_change=frame["evil_b"] - frame["evil_a"])


def _traced(profile: str) -> Mapping[str, Sequence[str]]:
    try:
        return readers.all_traced(profile)
    except StoreError:
        return {}


def _labels(profile: str) -> TokenLabels:
    try:
        return readers.labels(profile)
    except StoreError:
        return TokenLabels()


def chosen(
    table: pd.DataFrame, *, text: str, domain: str | None, split: str, order: str, pair: tuple[str, str]
) -> pd.DataFrame:
    """The rows that a person asks for, in their order.

    Parameters
    ----------
    table
        From `prompt_table`.
    text
        Words that must all be in the prompt, its situation, hash or top candidates, whatever their case.
    domain
        Only of this domain; None: of any.
    split
        One of `SPLITS`.
    order
        One of `ORDERS`. Prompts without the number come last, others of one number by domain,
        situation and hash.
    pair
        Prompts traced with both come before those that are not, where the order is by domain.
    """
    keep = pd.Series(True, index=table.index)
    if words := text.lower().split():
        hay = table.index.to_series()
        for column in ("text", "situation", "top_a", "top_b"):
            hay = hay + " " + table[column]
        hay = hay.str.lower()
        for word in words:
            keep &= hay.str.contains(word, regex=False)
    if domain is not None:
        keep &= table["domain"] == domain
    if split != SPLITS[0]:
        keep &= table["held_out"] == (split == SPLITS[1])
    column, ascending = ORDERS[order]
    found = table[keep].reset_index().sort_values(["domain", "situation", "prompt_hash"], kind="stable")
    if column == "domain":
        whole = found["variants"].map(lambda variants: set(pair) <= set(variants))
        found = found.assign(whole=~whole).sort_values("whole", kind="stable").drop(columns="whole")
    else:
        found = found.sort_values(column, ascending=ascending, kind="stable", na_position="last")
    return found.set_index("prompt_hash")
