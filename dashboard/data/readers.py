"""Cached readers of a profile's collections and datasets, keyed by small stamps of their files."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
import xarray as xr

from dashboard.data.documents import lexicon, models
from dashboard.data.in_memory import FeatureRows, columns_of, with_small_arrays
from dashboard.data.project import artifact, fresh, made
from dashboard.data.tables import level_words, ranking_frame
from dashboard.style.theme import variant_colours
from pipeline.analysis.dose import dose_of
from pipeline.analysis.dose_prompt import READ, Dose
from pipeline.labels.published import read_labels
from pipeline.text.token_labels import TokenLabels
from store.base.errors import NotInStoreError, StoreError
from store.collections.reader import Collection, open_collection
from store.datasets.groups import open_dataset, read_provenance
from store.schema.adapters import ADAPTERS
from store.schema.gates import GATES
from store.schema.labels import LABELS
from store.schema.rankings import ranking_group, situations_group
from store.views.adapter import AdapterView
from store.views.graph import GraphView


@st.cache_resource(max_entries=16, show_spinner=False)
def _collection(path: str, key: str) -> Collection:
    return open_collection(Path(path))


def collection(profile: str, kind: str) -> Collection:
    """A collection of items: candidates, graphs, full_graphs, activations or samples."""
    return fresh(artifact(profile, kind), _collection)


@st.cache_resource(max_entries=8, show_spinner=False)
def _labels(path: str, key: str) -> TokenLabels:
    return read_labels(Path(path).parent)


def labels(profile: str) -> TokenLabels:
    """Labels of tokens that count; before stage `labels` has run, the lexicon's."""
    if made(profile, LABELS.kind):
        return fresh(artifact(profile, LABELS.kind), _labels)
    return TokenLabels(lexicon=lexicon(profile))


@st.cache_resource(max_entries=24, show_spinner=False)
def _graph(path: str, key: str, prompt_hash: str, variant: str) -> GraphView:
    return GraphView(_collection(path, key).item(prompt_hash, variant))


def graph(profile: str, prompt_hash: str, variant: str) -> GraphView:
    """One attribution graph.

    Raises
    ------
    NotInStoreError
        It was not traced for this prompt and variant.
    """
    return fresh(artifact(profile, "graphs"), lambda path, key: _graph(path, key, prompt_hash, variant))


@st.cache_resource(max_entries=24, show_spinner=False)
def _adapter(path: str, key: str, prompt_hash: str, variant: str) -> AdapterView:
    return AdapterView(_collection(path, key).item(prompt_hash, variant))


def adapter(profile: str, prompt_hash: str, variant: str) -> AdapterView:
    """What a variant's adapter writes to on a prompt.

    Raises
    ------
    NotInStoreError
        It was not traced for this prompt and variant.
    """
    return fresh(
        artifact(profile, ADAPTERS.kind), lambda path, key: _adapter(path, key, prompt_hash, variant)
    )


@st.cache_resource(max_entries=24, show_spinner=False)
def _gates(path: str, key: str, prompt_hash: str, variant: str) -> Mapping[str, np.ndarray]:
    return _collection(path, key).item(prompt_hash, variant).arrays


def gates(profile: str, prompt_hash: str, variant: str) -> Mapping[str, np.ndarray]:
    """How strongly a variant's LoRA components act at each token of a prompt; errors as `adapter`."""
    return fresh(artifact(profile, GATES.kind), lambda path, key: _gates(path, key, prompt_hash, variant))


@st.cache_resource(max_entries=8, show_spinner=False)
def _doses(path: str, key: str, prompt_hash: str) -> list[Dose]:
    items = _collection(path, key)
    variants = sorted(items.variants(prompt_hash), key=dose_of)
    return [
        Dose(variant=variant, arrays=items.item(prompt_hash, variant, READ).arrays) for variant in variants
    ]


def doses(profile: str, prompt_hash: str, name: str) -> list[Dose]:
    """Graphs of a prompt at every dose of an artifact, ascending; errors as `adapter`."""
    return fresh(artifact(profile, name), lambda path, key: _doses(path, key, prompt_hash))


def dosed(profile: str, name: str) -> list[str]:
    """Prompts that were traced at several doses in an artifact."""
    return collection(profile, name).prompts()


def traced(profile: str, prompt_hash: str) -> list[str]:
    """Variants that a prompt was traced with; none where it was not."""
    try:
        return collection(profile, "graphs").variants(prompt_hash)
    except NotInStoreError:
        return []


@st.cache_resource(max_entries=8, show_spinner=False)
def _all_traced(path: str, key: str) -> Mapping[str, tuple[str, ...]]:
    rows = _collection(path, key).index
    return {prompt: tuple(dict.fromkeys(part)) for prompt, part in rows.groupby("prompt_hash")["variant"]}


@st.cache_resource(max_entries=16, show_spinner=False)
def _traced_with(path: str, key: str, pair: frozenset[str]) -> frozenset[str]:
    return frozenset(prompt for prompt, variants in _all_traced(path, key).items() if pair.issubset(variants))


def traced_with(profile: str, pair: frozenset[str]) -> frozenset[str]:
    """Prompts that were traced with all variants of `pair`."""
    return fresh(artifact(profile, "graphs"), lambda path, key: _traced_with(path, key, pair))


def all_traced(profile: str) -> Mapping[str, Sequence[str]]:
    """Variants that each traced prompt was traced with, in one reading of the index."""
    return fresh(artifact(profile, "graphs"), _all_traced)


def candidates(profile: str, prompt_hash: str, variant: str) -> pd.DataFrame:
    """Own candidates of a variant on a prompt: token, probability; most probable first."""
    item = collection(profile, "candidates").item(prompt_hash, variant)
    return pd.DataFrame(
        {
            "token": item.arrays["candidate_token"],
            "probability": item.arrays["candidate_probability"],
        }
    )


# All groups that the pages read together: with fewer, one person's page would put out another's.
@st.cache_resource(max_entries=96, show_spinner=False)
def _dataset(path: str, key: str, group: str) -> xr.Dataset:
    return with_small_arrays(open_dataset(Path(path), group))


def dataset(profile: str, name: str, group: str) -> xr.Dataset:
    """A group of a dense artifact (``features`` or ``rates``), shared: not to be written to."""
    return fresh(artifact(profile, name), lambda path, key: _dataset(path, key, group))


@st.cache_resource(max_entries=8, show_spinner=False)
def _rows(path: str, key: str, group: str) -> FeatureRows:
    table = _dataset(path, key, group)
    return FeatureRows(table["layer"].values, table["index"].values)


def feature_rows(profile: str, group: str) -> FeatureRows:
    """Where features stand in a group of ``features``."""
    return fresh(artifact(profile, "features"), lambda path, key: _rows(path, key, group))


# Of two million features a table takes 120 MB, and their effects by situation as much and more.
@st.cache_resource(max_entries=4, show_spinner=False)
def _ranking(path: str, key: str, score: str, contrast: str, domain: str) -> pd.DataFrame:
    return ranking_frame(_dataset(path, key, ranking_group(score)), contrast, domain)


def ranking(profile: str, contrast: str, domain: str, score: str = "direct") -> pd.DataFrame:
    """The ranking of a contrast and domain by a score, as `tables.ranking_frame` gives it."""
    return fresh(
        artifact(profile, "features"), lambda path, key: _ranking(path, key, score, contrast, domain)
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def _contrasts(path: str, key: str) -> list[str]:
    return [str(value) for value in _dataset(path, key, "ranking")["contrast"].values]


def contrasts(profile: str) -> list[str]:
    """Contrasts of the ranking."""
    return fresh(artifact(profile, "features"), _contrasts)


@st.cache_resource(max_entries=512, show_spinner=False)
def _largest_activation(path: str, key: str, layer: int, index: int) -> float:
    contexts = _dataset(path, key, "contexts")
    row = _rows(path, key, "contexts").row(layer, index)
    if row is None:
        return 1.0
    top = float(np.nanmax(contexts["activation"][:, row].values, initial=0.0))
    return max(1.0, float(np.ceil(top)))


def largest_activation(profile: str, layer: int, index: int) -> float:
    """Largest activation of a feature on held-out text, rounded up; 1 where none is known."""
    try:
        return fresh(
            artifact(profile, "features"),
            lambda path, key: _largest_activation(path, key, layer, index),
        )
    except StoreError:
        return 1.0


@st.cache_resource(max_entries=16, show_spinner=False)
def _situation_effects(path: str, key: str, score: str, contrast: str, rows: tuple[int, ...]) -> np.ndarray:
    effect = _dataset(path, key, situations_group(score))["effect"].sel(contrast=contrast)
    effect = effect.transpose("situation", "feature")
    return columns_of(effect, np.array(rows, dtype=np.int64))


def situation_effects(profile: str, contrast: str, rows: Iterable[int], score: str = "direct") -> np.ndarray:
    """Effects by situation of some features; (situation, row), the score's unit, NaN: not scored."""
    chosen = tuple(map(int, rows))
    return fresh(
        artifact(profile, "features"),
        lambda path, key: _situation_effects(path, key, score, contrast, chosen),
    )


def provenance(profile: str, name: str) -> dict[str, Any]:
    """What an artifact says it was computed from."""
    return fresh(artifact(profile, name), lambda path, _: dict(read_provenance(Path(path))))


def level(profile: str, name: str) -> str:
    """The intervals of ``rates``, ``recipes``, ``features`` or ``names`` in words: ``95% interval``."""
    stage = {"rates": "evaluate", "recipes": "evaluate"}.get(name, name)
    return level_words(provenance(profile, name), stage)


def colours(profile: str) -> dict[str, str]:
    """Colour of every variant of a profile, in the order to list them."""
    focus = models(profile).focus if made(profile, "models.json") else ""
    return variant_colours(variants(profile), focus=focus)


def variants(profile: str) -> list[str]:
    """Variants that the store or the manifest knows, base first."""
    known: list[str] = []
    for kind in ("candidates", "graphs", "samples", "answers"):
        if made(profile, kind):
            known.extend(collection(profile, kind).variants())
    if not known and made(profile, "models.json"):
        known = ["base", *(f"{name}@1.0" for name in models(profile).adapters)]
    return sorted(dict.fromkeys(known), key=lambda variant: (variant != "base", variant))
